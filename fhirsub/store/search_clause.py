"""Criteria as a condition on the table ``resource``.

Spec: https://hl7.org/fhir/R4/search.html#combining
"""
from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import BigInteger, ColumnElement, and_, exists, false, not_, or_, select, true, type_coerce

from ..fhir.criteria import Criteria, Predicate
from ..fhir.criteria.chains import Link
from ..fhir.criteria.code_sets import CodeSet
from ..fhir.criteria.keys import rank, selective
from ..fhir.definitions.structures import RESOURCE_TYPES
from .search_chains import from_each, from_far_end
from .search_conditions import any_of, dated, rows_of
from .search_rows import component
from .tables import resource, search_value

_r, _s = resource.c, search_value.c

_LAST_UPDATED = type_coerce(_r.last_updated, BigInteger)
_MILLISECOND = 1000  # what meta.lastUpdated says, in microseconds

# How predicates without an equality compare, all above the rank of one with.
_RANGE, _THROUGH, _LOOKED_UP = (10,), (11,), (12,)
_COARSE = (5,)  # an equality, but with what many resources share
_NESTED = 3     # links that are looked up for each resource in turn; SQLite's parser does not take many more


def clause(criteria: Criteria, types: Sequence[str] = ()) -> ColumnElement[bool]:
    """The condition on ``resource`` that its current version matches, as :meth:`.Criteria.test` says in memory.

    :param types: the resource types to be asked, if not only the criteria's own; their parameters must be the same
    :raises UnsupportedCriteria: a text longer than the index can answer
    """
    first = min(criteria.predicates, key=_effort, default=None)
    types = types or (criteria.type,)
    others = [_condition(types, predicate) for predicate in criteria.predicates if predicate is not first]
    return and_(_beginning(types, first), ~_r.deleted, *others)


def _among(column: ColumnElement, types: Sequence[str]) -> ColumnElement[bool]:
    return column == types[0] if len(types) == 1 else column.in_(types)


def _typed(types: Sequence[str]) -> ColumnElement[bool]:
    """No condition if these are all there are: a page then comes in the order of the table, and nothing is sorted."""
    return true() if len(types) == len(RESOURCE_TYPES) else _among(_r.type, types)


def _asked(criteria: Criteria) -> ColumnElement[bool]:
    """The same condition, for a resource that has been found already."""
    others = (_condition((criteria.type,), predicate) for predicate in criteria.predicates)
    return and_(_r.type == criteria.type, ~_r.deleted, *others)


def _beginning(types: Sequence[str], first: Predicate | Link | None) -> ColumnElement[bool]:
    """The resources that the most selective predicate finds, from the index on values; the rest is looked up for each.

    SQLite would otherwise list all that match "status=final" only to intersect it with ten resources, or go through
    every resource of the type: so the type is not named where the rows already say it.
    """
    if first is None:
        return _typed(types)
    if _effort(first) >= _LOOKED_UP or first.parameter.code in _IN_RESOURCE:
        return and_(_among(_r.type, types), _condition(types, first))
    if isinstance(first, Link):
        return from_far_end(types, first, clause)
    return _r.key.in_(select(_s.resource_key).where(_among(_s.type, types), _rows(first)))


def _effort(predicate: Predicate | Link) -> tuple[int, ...]:
    """The lower, the fewer rows are read to find all that match: equality, range, then what must be looked through."""
    if isinstance(predicate, Link):
        return _far_effort(predicate)
    if selective(predicate) or _begins_selective(predicate):
        return rank(predicate)
    if predicate.negated or predicate.modifier == "missing":
        return _LOOKED_UP
    if predicate.parameter.type == "fulltext":
        return _THROUGH
    if predicate.modifier in (None, "exact", "below") or isinstance(predicate.values[0], CodeSet):
        return _RANGE
    return _THROUGH


def _far_effort(link: Link) -> tuple[int, ...]:
    """The effort at the far end, a little more for each link on the way."""
    far = max(min(map(_effort, end.predicates)) for end in link.ends)
    # Each of the many that share a coarse value may lead to many more: any range here is better to begin with.
    return (*(max(far, _RANGE) if far >= _COARSE else far), 1)


def _begins_selective(predicate: Predicate) -> bool:
    """Whether a composite asks for a code and something else, so that the code finds few."""
    return predicate.parameter.type == "composite" and all(operand.operands[0].key() for operand in predicate.values)


def _condition(types: Sequence[str], predicate: Predicate | Link) -> ColumnElement[bool]:
    """The predicate, asked of each resource in turn.

    The type is not named where the resource says it: SQLite would look through all rows of the parameter each time.
    """
    if isinstance(predicate, Link):
        few = predicate.length <= _NESTED
        return from_each(types, predicate, _asked) if few else from_far_end(types, predicate, clause)
    parameter = predicate.parameter
    if parameter.code in _IN_RESOURCE:
        return _in_resource(predicate)
    if predicate.modifier == "missing":
        found = _found(_s.parameter == parameter.code)
        return or_(*(not_(found) if operand.missing else found for operand in predicate.values))
    found = _found(_rows(predicate))
    return not_(found) if predicate.negated else found


def _rows(predicate: Predicate) -> ColumnElement[bool]:
    """The rows that match one of the predicate's values."""
    parameter = predicate.parameter
    if parameter.type == "composite":
        begins = any_of([operand.operands[0] for operand in predicate.values])  # what the index can answer
        return and_(_s.parameter == component(parameter.code, 0), begins,
                    or_(*(_together(parameter.code, operand.operands) for operand in predicate.values)))
    return and_(_s.parameter == rows_of(parameter.code, predicate.modifier), any_of(predicate.values))


def _together(code: str, operands: tuple) -> ColumnElement[bool]:
    """The rows of a composite's first component that match, and so do the other components at the same place."""
    others = []
    for number, operand in enumerate(operands[1:], 1):
        other = search_value.alias().c
        others.append(exists().where(
            other.resource_key == _s.resource_key, other.parameter == component(code, number), other.part == _s.part,
            any_of([operand], other)))
    return and_(any_of(operands[:1]), *others)


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
