"""How terminology resources are found, and what is said of those that are not.

Spec: https://hl7.org/fhir/R4/references.html#canonical
"""
from __future__ import annotations

from collections.abc import Callable

from ...errors import UnsupportedCriteria

# Pairs of system and code, both as written.
Codes = frozenset[tuple[str, str]]

# find(resource type, canonical URL with or without ``|version``, or ``Type/id``); None: there is no such
Find = Callable[[str, str], dict | None]


def present(resource_type: str, canonical: str, find: Find) -> dict:
    """The resource that ``find`` gives.

    :raises UnsupportedCriteria: it gives none
    """
    found = find(resource_type, canonical)
    if found is None:
        raise UnsupportedCriteria(f"{_named(resource_type, canonical)} is not stored in this server; store it first, "
                                  "or list the codes: system|a,system|b", code="not-found")
    return found


def name(resource: dict) -> str:
    """``ValueSet http://acme.org/vs|1.0``, for messages."""
    canonical = "|".join(resource[part] for part in ("url", "version") if part in resource)
    return _named(resource["resourceType"], canonical or f"{resource['resourceType']}/{resource.get('id', '')}")


def _named(resource_type: str, canonical: str) -> str:
    return canonical if canonical.startswith(f"{resource_type}/") else f"{resource_type} {canonical}"
