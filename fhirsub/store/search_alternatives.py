"""Several criteria of which a resource must match one: a search over several types, or in a compartment.

Spec: https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/compartmentdefinition.html
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, or_

from ..errors import UnsupportedCriteria
from ..fhir.criteria import Criteria
from ..fhir.criteria.chains import Reverse
from ..fhir.criteria.code_sets import CodeSet
from ..fhir.criteria.uris import Above
from ..fhir.criteria.words import AllWords
from ..fhir.definitions.parameters import search_parameters
from .search_clause import clause

# Each value is up to six bound parameters, and SQLite takes 32,766 of them in one statement.
MAX_VALUES = 5_000


def any_clause(alternatives: Sequence[Criteria]) -> ColumnElement[bool]:
    """The condition on ``resource`` that its current version matches one of ``alternatives``.

    :raises UnsupportedCriteria: as :func:`.clause`, or over :data:`MAX_VALUES`
    """
    merged = _merged(alternatives)
    if sum(_size(criteria) for criteria, _ in merged) > MAX_VALUES:
        raise UnsupportedCriteria(f"the search asks for more than {MAX_VALUES} values, each once for every resource "
                                  "type and parameter it goes through; name fewer types or values", code="too-costly")
    return or_(false(), *(clause(criteria, types) for criteria, types in merged))


def _merged(alternatives: Iterable[Criteria]) -> list[tuple[Criteria, list[str]]]:
    """One condition in place of 146, where the types are all asked the same."""
    found: dict[Any, tuple[Criteria, list[str]]] = {}
    for criteria in alternatives:
        key = criteria.predicates if _common(criteria) else criteria
        found.setdefault(key, (criteria, []))[1].append(criteria.type)
    return list(found.values())


def _common(criteria: Criteria) -> bool:
    """Whether each predicate asks all types the same: for ``_id``, ``_tag``, …, or for what refers to the resource."""
    known = search_parameters("Resource")
    return all(isinstance(predicate, Reverse) or known.get(predicate.parameter.code) == predicate.parameter
               for predicate in criteria.predicates)


def _size(criteria: Criteria) -> int:
    """How many values are compared, at least one."""
    return 1 + sum(_compared(operand) for predicate in criteria.predicates for operand in predicate.values)


def _compared(operand: Any) -> int:
    """``:above`` compares with each beginning of a URL; the codes of a system are one parameter, but a long one."""
    if isinstance(operand, CodeSet):
        return len({system for system, _ in operand.codes}) + len(operand.codes) // 100
    if isinstance(operand, AllWords):
        return len(operand.words)
    return len(operand.uri) if isinstance(operand, Above) else 1
