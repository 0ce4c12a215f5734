"""The door: is this JSON a valid R4 4.0.1 resource?

Structure, cardinality, choice groups, formats and required codes; no invariants, profiles or reference targets.
Spec: https://hl7.org/fhir/R4/validation.html
"""
from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

from ...errors import BadRequest, Issue, Unprocessable
from ..definitions.structures import RESOURCE_TYPES
from .faults import faults
from .inner import inner_resources
from .schema import validator
from .words import found, near

# Enough to mend a resource in one go; a body that is wrong throughout would else answer with megabytes.
MAX_ISSUES = 20


def check(resource: Any, expected_type: str | None = None, *, entries: bool = True) -> None:
    """Refuse what is not a valid resource.

    :param resource: decoded JSON, ``{"resourceType": "Patient", …}``
    :param expected_type: the type that the URL names
    :param entries: also look into the resources of Bundle entries; a batch judges them one by one
    :raises BadRequest: not an object, or not of an R4 resource type, or not of the expected one
    :raises Unprocessable: up to 20 issues, each with the FHIRPath of its element
    """
    issue = _type_issue(resource, "")
    if issue:
        raise BadRequest(issues=[issue])
    resource_type = resource["resourceType"]
    if expected_type and resource_type != expected_type:
        raise BadRequest(f"resourceType: expected {expected_type}, as in the URL; got {resource_type}",
                         expression=resource_type, code="invalid")
    issues = list(islice(_issues(resource, resource_type, entries), MAX_ISSUES))
    if issues:
        raise Unprocessable(issues=issues)


def _issues(resource: dict, path: str, entries: bool) -> Iterator[Issue]:
    resource_type = resource["resourceType"]
    # The schema says yes in microseconds; only what it refuses is walked through.
    if not validator(resource_type).is_valid(resource):
        yield from faults(resource_type, resource, path)
    for place, inner in inner_resources(resource, path, entries):
        issue = _type_issue(inner, place)
        if issue:
            yield issue
        else:
            yield from _issues(inner, place, entries)


def _type_issue(resource: Any, path: str) -> Issue | None:
    prefix = f"{path}: " if path else ""
    if not isinstance(resource, dict):
        return Issue(f"{prefix}expected a resource as a JSON object; got {found(resource)}", "structure", path or None)
    name = resource.get("resourceType")
    if name is None:
        return Issue(f"{prefix}resourceType is missing; expected an R4 resource type, such as Patient", "structure",
                     path or None)
    if not isinstance(name, str) or name not in RESOURCE_TYPES:
        return Issue(f"{prefix}resourceType: expected an R4 resource type ({near(sorted(RESOURCE_TYPES), name)}); "
                     f"got {found(name)}", "structure", path or None)
    return None
