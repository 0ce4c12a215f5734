"""Chains and reverse chains as conditions on ``resource``, through the rows of references: their value is ``Type/id``.

Each can be said in two ways: from the far end, where few resources are left to begin with, and from each resource in
turn, where another predicate has already found few. Every level names the same two tables; those of an inner select
hide those of the outer ones.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlalchemy import ColumnElement, Select, Text, and_, cast, exists, func, literal, or_, select, union_all

from ..fhir.criteria import Criteria
from ..fhir.criteria.chains import Chain, Link, Reverse
from .tables import Bytewise, resource, search_value

_r, _s = resource.c, search_value.c

# condition(criteria) on ``resource``
Condition = Callable[[Criteria], ColumnElement[bool]]

# As the column ``id`` is compared; PostgreSQL compares no two collations without being told which.
_Plain = Text().with_variant(Text(collation="default"), "postgresql")

_AFTER_SLASH = "0"  # the character that follows "/"


def from_far_end(types: Sequence[str], link: Link, matching: Condition) -> ColumnElement[bool]:
    """The resources of ``types`` that ``link`` finds, from the index on what it ends with.

    :param matching: the condition that the resources of a criteria begin with
    """
    if isinstance(link, Chain):
        targets = _apart(*(select(_named(end.type).label("far")).where(matching(end)) for end in link.ends))
        rows = and_(_s.type.in_(types), _s.parameter == link.parameter.code, _s.value.in_(targets))
        return _r.key.in_(select(_s.resource_key).where(rows).correlate(None))
    sources = _apart(select(_r.key.label("far")).where(matching(link.source)))
    return or_(*(and_(_r.type == kind, _r.id.in_(_referred(kind, link, sources))) for kind in types))


def _apart(*selects: Select) -> Select:
    """The selects together, as a table of their own before the statement: SQLite's parser nests but a few."""
    return select(union_all(*(one.correlate(None) for one in selects)).cte().c.far)


def _referred(resource_type: str, link: Reverse, sources: Select) -> Select:
    """The ids of resources of this type that the ``sources`` refer to."""
    # The type of the rows follows from their resource; named, it would make SQLite read all rows of the parameter.
    rows = and_(_s.resource_key.in_(sources), _s.parameter == link.parameter.code, _leads_to(resource_type))
    return select(_id(resource_type)).where(rows).correlate(None)


def from_each(types: Sequence[str], link: Link, matching: Condition) -> ColumnElement[bool]:
    """Whether ``link`` finds the resource at hand, which is of one of ``types``.

    :param matching: the condition that one resource matches a criteria
    """
    if isinstance(link, Chain):
        there = or_(*(and_(_leads_to(end.type), _exists(_r.id == _id(end.type), matching(end))) for end in link.ends))
        return _refers(_s.resource_key == _r.key, _s.parameter == link.parameter.code, there)
    named = or_(*(and_(_r.type == kind, _s.value == _named(kind)) for kind in types))
    source = _exists(_r.key == _s.resource_key, matching(link.source))
    return _refers(_s.type == link.source.type, _s.parameter == link.parameter.code, named, source)


def _refers(*rows: ColumnElement[bool]) -> ColumnElement[bool]:
    """There is such a row for the ``resource`` of the select around it."""
    return exists().select_from(search_value).where(*rows).correlate(resource)


def _exists(*there: ColumnElement[bool]) -> ColumnElement[bool]:
    """There is such a resource for the row of the select around it."""
    return exists().select_from(resource).where(*there).correlate(search_value)


def _named(resource_type: str) -> ColumnElement[str]:
    """``Patient/1``, as references to the resource have it."""
    return cast(literal(f"{resource_type}/").concat(_r.id), Bytewise)


def _leads_to(resource_type: str) -> ColumnElement[bool]:
    return and_(_s.value > f"{resource_type}/", _s.value < resource_type + _AFTER_SLASH)


def _id(resource_type: str) -> ColumnElement[str]:
    """The id in ``Patient/1``."""
    return cast(func.substr(_s.value, len(resource_type) + 2), _Plain)
