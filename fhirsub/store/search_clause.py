"""Criteria as a condition on the table ``resource``.

Spec: https://hl7.org/fhir/R4/search.html#combining
"""
from __future__ import annotations

from sqlalchemy import BigInteger, ColumnElement, and_, exists, false, not_, or_, select, true, type_coerce

from ..errors import UnsupportedCriteria
from ..fhir.criteria import Criteria, Predicate
from ..fhir.criteria.keys import rank, selective
from ..fhir.definitions.parameters import SearchParameter
from .search_conditions import any_of, dated, rows_of
from .search_rows import SEARCHABLE
from .tables import resource, search_value

_r, _s = resource.c, search_value.c

_LAST_UPDATED = type_coerce(_r.last_updated, BigInteger)
_MILLISECOND = 1000  # what meta.lastUpdated says, in microseconds

# How predicates without an equality compare, all above the rank of one with.
_RANGE, _THROUGH, _LOOKED_UP = (10,), (11,), (12,)


def clause(criteria: Criteria) -> ColumnElement[bool]:
    """The condition on ``resource`` that its current version matches, as :meth:`.Criteria.test` says in memory.

    :raises UnsupportedCriteria: a kind of parameter that no rows are kept for yet
    """
    first = min(criteria.predicates, key=_effort, default=None)
    others = [_condition(criteria.type, predicate) for predicate in criteria.predicates if predicate is not first]
    return and_(_beginning(criteria.type, first), ~_r.deleted, *others)


def _beginning(resource_type: str, first: Predicate | None) -> ColumnElement[bool]:
    """The resources that the most selective predicate finds, from the index on values; the rest is looked up for each.

    SQLite would otherwise list all that match "status=final" only to intersect it with ten resources, or go through
    every resource of the type: so the type is not named where the rows already say it.
    """
    if first is None:
        return _r.type == resource_type
    if _effort(first) >= _LOOKED_UP or first.parameter.code in _IN_RESOURCE:
        return and_(_r.type == resource_type, _condition(resource_type, first))
    return _r.key.in_(select(_s.resource_key).where(_rows(resource_type, first)))


def _effort(predicate: Predicate) -> tuple[int, ...]:
    """The lower, the fewer rows are read to find all that match: equality, range, then what must be looked through."""
    if selective(predicate):
        return rank(predicate)
    if predicate.modifier in ("not", "missing"):
        return _LOOKED_UP
    return _RANGE if predicate.modifier in (None, "exact", "below") else _THROUGH


def _condition(resource_type: str, predicate: Predicate) -> ColumnElement[bool]:
    """The predicate, asked of each resource in turn."""
    parameter = predicate.parameter
    if parameter.code in _IN_RESOURCE:
        return _in_resource(predicate)
    if predicate.modifier == "missing":
        _check(resource_type, parameter)
        found = _found(and_(_s.type == resource_type, _s.parameter == parameter.code))
        return or_(*(not_(found) if operand.missing else found for operand in predicate.values))
    found = _found(_rows(resource_type, predicate))
    return not_(found) if predicate.modifier == "not" else found


def _rows(resource_type: str, predicate: Predicate) -> ColumnElement[bool]:
    """The rows that match one of the predicate's values."""
    parameter = predicate.parameter
    _check(resource_type, parameter)
    return and_(_s.type == resource_type, _s.parameter == rows_of(parameter.code, predicate.modifier),
                any_of(predicate.values))


def _check(resource_type: str, parameter: SearchParameter) -> None:
    if parameter.type not in SEARCHABLE:
        raise UnsupportedCriteria(f"{resource_type}?{parameter.code}: a {parameter.type} parameter is not yet supported "
                                  "in search, only in the criteria of a Subscription; leave it out")


def _found(rows: ColumnElement[bool]) -> ColumnElement[bool]:
    return exists().where(_s.resource_key == _r.key, rows)


_IN_RESOURCE = {"_id": lambda asked: _r.id == asked.id,
                "_lastUpdated": lambda asked: dated(asked, _LAST_UPDATED, _LAST_UPDATED + _MILLISECOND)}


def _in_resource(predicate: Predicate) -> ColumnElement[bool]:
    """``_id`` and ``_lastUpdated``, which every resource has in columns of its own."""
    if predicate.modifier == "missing":
        return false() if all(operand.missing for operand in predicate.values) else true()
    found = or_(*map(_IN_RESOURCE[predicate.parameter.code], predicate.values))
    return not_(found) if predicate.modifier == "not" else found
