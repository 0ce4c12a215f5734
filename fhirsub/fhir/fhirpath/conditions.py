"""The conditions of plain FHIRPath: True, False, or None for empty, which is neither.

Spec: https://hl7.org/fhirpath/N1/#boolean-logic
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Condition = Callable[[Any, dict], "bool | None"]

# Patient/1, http://example.org/fhir/Patient/1, either with /_history/2 behind it.
_REFERENCE = re.compile(r"(?:^|/)([A-Z][A-Za-z]+)/[A-Za-z0-9.\-]{1,64}(?:/_history/[A-Za-z0-9.\-]{1,64})?$", re.ASCII)


def equals(extract: Callable, literal: Any, negated: bool) -> Condition:
    def condition(value, resource):
        found = extract(value, resource)
        if not found:
            return None
        first = found[0][0]
        # Collections of different size are not equal; and True is 1 in Python only.
        equal = len(found) == 1 and first == literal and isinstance(first, bool) == isinstance(literal, bool)
        return equal != negated
    return condition


def exists(extract: Callable) -> Condition:
    return lambda value, resource: bool(extract(value, resource))


def both(left: Condition, right: Condition) -> Condition:
    def condition(value, resource):
        answers = left(value, resource), right(value, resource)
        return False if False in answers else None if None in answers else True
    return condition


def resolves(extract: Callable, wanted: str) -> Condition:
    """``resolve() is Patient``, told by what the reference says: nothing is fetched.

    What does not tell its type (``urn:uuid:…``, an identifier without ``Reference.type``) does not resolve.
    """
    def condition(value, resource):
        return any(reference_type(found, resource) == wanted for found, _ in extract(value, resource))
    return condition


def reference_type(reference: Any, resource: dict) -> str | None:
    """The resource type that a Reference leads to, if it tells.

    :param reference: ``{"reference": "Patient/1", …}``, or a canonical, which never tells
    :param resource: holds the contained resources
    """
    if not isinstance(reference, dict):
        return None
    target = reference.get("reference")
    if not isinstance(target, str):
        return reference.get("type")
    if target.startswith("#"):
        return _contained_type(target[1:], resource)
    found = _REFERENCE.search(target)
    return found[1] if found else reference.get("type")


def _contained_type(fragment: str, resource: dict) -> str | None:
    """``#`` alone is the resource itself."""
    contained = resource.get("contained")
    inside = [one for one in contained if isinstance(one, dict)] if isinstance(contained, list) else []
    return next((one.get("resourceType") for one in inside if one.get("id") == fragment),
                None if fragment else resource.get("resourceType"))
