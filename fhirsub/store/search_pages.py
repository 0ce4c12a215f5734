"""Pages of a search: the order of the resources, and cursors that say where the next page begins.

A cursor names the last resource seen by its sort values and key, so what is written meanwhile moves nothing.
Spec: https://hl7.org/fhir/R4/search.html#sort, https://hl7.org/fhir/R4/http.html#paging
"""
from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, or_, type_coerce

from ..errors import BadRequest, UnsupportedCriteria
from .tables import resource

# Microseconds, which a cursor can carry, instead of datetimes.
_SORTABLE = {"_lastUpdated": (type_coerce(resource.c.last_updated, BigInteger), int), "_id": (resource.c.id, str)}
_MAX_INT = 2**63


class Order(NamedTuple):
    """Columns, the key last, and which of them descend."""

    columns: tuple[ColumnElement, ...]
    descending: tuple[bool, ...]

    @property
    def directed(self) -> list[ColumnElement]:
        return [column.desc() if down else column.asc() for column, down in zip(self.columns, self.descending)]


def order(sort: Sequence[str]) -> Order:
    """The order that ``_sort`` asks for, ``("-_lastUpdated", "_id")``, made total by the key.

    :raises UnsupportedCriteria: another parameter
    """
    for rule in sort:
        if rule.removeprefix("-") not in _SORTABLE:
            raise UnsupportedCriteria(f"_sort={rule}: this server sorts by {', '.join(_SORTABLE)}; - before is descending")
    columns = [_SORTABLE[rule.removeprefix("-")][0] for rule in sort]
    return Order((*columns, resource.c.key), (*(rule.startswith("-") for rule in sort), False))


def beyond(order: Order, position: Sequence) -> ColumnElement[bool]:
    """What comes after ``position``: greater in the first column, or equal there and beyond in the rest."""
    column, down, value = order.columns[0], order.descending[0], position[0]
    further = column < value if down else column > value
    if len(position) == 1:
        return further
    return or_(further, and_(column == value, beyond(Order(order.columns[1:], order.descending[1:]), position[1:])))


def cursor(sort: Sequence[str], position: Sequence) -> str:
    """The place after ``position`` (values of the order's columns) as opaque text for a URL."""
    return urlsafe_b64encode(json.dumps([list(sort), *position]).encode()).decode().rstrip("=")


def position(cursor: str, sort: Sequence[str]) -> list:
    """What :func:`cursor` was made of.

    :raises BadRequest: it was not made here, or for another order
    """
    kinds = [*(_SORTABLE[rule.removeprefix("-")][1] for rule in sort), int]
    try:
        made_for, *values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        made_for, values = None, []
    sound = [type(value) for value in values] == kinds and all(
        abs(value) < _MAX_INT for value in values if type(value) is int)
    if made_for != list(sort) or not sound:
        raise BadRequest(f"the page {cursor[:80]!r} is none of this search: take the link of the page before",
                         code="value")
    return values
