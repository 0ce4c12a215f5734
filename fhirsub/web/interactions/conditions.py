"""The search that selects the resource of a conditional interaction.

Spec: https://hl7.org/fhir/R4/http.html#ccreate, https://hl7.org/fhir/R4/http.html#cond-update
"""
from __future__ import annotations

from typing import Any

from ...errors import BadRequest, PreconditionFailed, UnsupportedCriteria
from ...fhir.criteria import Criteria, parse_query
from ...store import search

_HARMLESS = ("_format", "_pretty")


def condition(resource_type: str, pairs: list[tuple[str, str]], base_url: str) -> Criteria:
    """What selects the resource; every parameter counts, for one that was ignored would select too much.

    :raises PreconditionFailed: there is no parameter: that would select everything
    :raises BadRequest: a parameter or value is not supported
    """
    pairs = [(name, value) for name, value in pairs if name not in _HARMLESS]
    if not pairs:
        raise PreconditionFailed(f"a condition must say which {resource_type} it means, e.g. identifier=system|value",
                                 code="incomplete")
    return criteria(resource_type, pairs, base_url)


def criteria(resource_type: str, pairs: list[tuple[str, str]], base_url: str) -> Criteria:
    """Search parameters as :class:`Criteria`; what a request asks for wrongly is a 400, as R4 has it for searches."""
    try:
        return parse_query(resource_type, pairs, base_url)
    except UnsupportedCriteria as error:
        raise BadRequest(issues=error.issues) from None


def matches(tx: Any, criteria: Criteria, count: int = 2) -> list[str]:
    """The ids of up to ``count`` current resources that ``criteria`` selects."""
    try:
        page = search.find(tx, criteria, count=count, total=False)
    except UnsupportedCriteria as error:
        raise BadRequest(issues=error.issues) from None
    return [version.id for version in page.versions]
