"""Pages of a search: the order of the resources, and cursors that say where the next page begins.

A cursor names the last resource seen by its sort values and key, so what is written meanwhile moves nothing.
Spec: https://hl7.org/fhir/R4/search.html#sort, https://hl7.org/fhir/R4/http.html#paging
"""
from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, and_, func, or_, select, type_coerce

from ..errors import BadRequest, UnsupportedCriteria
from ..fhir.definitions.parameters import SearchParameter, search_parameters
from .search_rows import SEARCHABLE
from .tables import resource, search_value

_s = search_value.c

# Each is looked up for every resource found.
MAX_KEYS = 10
_MAX_INT = 2**63


class Key(NamedTuple):
    """A column to sort by; where it is NULL the resource has no such value and comes last, in either direction."""

    column: ColumnElement
    kind: type
    descending: bool = False
    certain: bool = False  # never NULL

    @property
    def directed(self) -> ColumnElement:
        directed = self.column.desc() if self.descending else self.column.asc()
        return directed if self.certain else directed.nulls_last()

    def at(self, value: Any) -> ColumnElement[bool]:
        return self.column.is_(None) if value is None else self.column == value

    def beyond(self, value: Any) -> ColumnElement[bool] | None:
        """What comes after ``value``; None if nothing can."""
        if value is None:
            return None
        further = self.column < value if self.descending else self.column > value
        return further if self.certain else or_(further, self.column.is_(None))


class Order(tuple[Key, ...]):
    """Keys, the last of which no two resources share."""

    @property
    def columns(self) -> list[ColumnElement]:
        return [key.column for key in self]

    @property
    def directed(self) -> list[ColumnElement]:
        return [key.directed for key in self]


_KEY = Key(resource.c.key, int, certain=True)
# Microseconds, which a cursor can carry, instead of datetimes.
_IN_RESOURCE = {"_lastUpdated": Key(type_coerce(resource.c.last_updated, BigInteger), int, certain=True),
                "_id": Key(resource.c.id, str, certain=True)}

# A code, a text, a target; "" where there is only a display or an identifier.
_VALUE = func.nullif(_s.value, "")
# What is compared in the rows of each type of parameter: its lowest and its highest end.
_NUMBERS = (_s.value, func.coalesce(_s.upper, _s.value))
_ENDS = {"date": (_s.low, _s.high), "number": _NUMBERS, "quantity": _NUMBERS}


def order(sort: Sequence[str], resource_type: str) -> Order:
    """The order that ``_sort`` asks for, ``("-date", "_id")``, made total by the key.

    :raises UnsupportedCriteria: not a parameter with one value to compare, or more than :data:`MAX_KEYS`
    """
    if len(sort) > MAX_KEYS:
        raise UnsupportedCriteria(f"_sort: more than {MAX_KEYS} parameters; leave some out", code="too-costly")
    return Order((*(_key(rule, resource_type) for rule in sort), _KEY))


def _key(rule: str, resource_type: str) -> Key:
    code = rule.removeprefix("-")
    if code in _IN_RESOURCE:
        return _IN_RESOURCE[code]._replace(descending=rule != code)
    parameter = search_parameters(resource_type).get(code)
    if parameter is None or parameter.type not in SEARCHABLE or parameter.type in ("composite", "fulltext"):
        reason = f"{resource_type} has no such parameter" if parameter is None else f"a {parameter.type} has no order"
        raise UnsupportedCriteria(f"_sort={rule}: {reason}; sort by another, with - before it if descending")
    return Key(_extreme(parameter, rule != code), int if parameter.type == "date" else str, rule != code)


def _extreme(parameter: SearchParameter, highest: bool) -> ColumnElement:
    """Of several values the one that comes first in the order asked for, as R4 has it."""
    low, high = _ENDS.get(parameter.type, (_VALUE, _VALUE))
    return (select(func.max(high) if highest else func.min(low)).correlate(resource)
            .where(_s.resource_key == resource.c.key, _s.parameter == parameter.code).scalar_subquery())


def beyond(order: Sequence[Key], position: Sequence) -> ColumnElement[bool]:
    """What comes after ``position``: after it in the first key, or equal there and beyond in the rest."""
    further = order[0].beyond(position[0])
    if len(position) == 1:
        return further
    level = and_(order[0].at(position[0]), beyond(order[1:], position[1:]))
    return level if further is None else or_(further, level)


def cursor(sort: Sequence[str], position: Sequence) -> str:
    """The place after ``position`` (values of the order's columns) as opaque text for a URL."""
    place = json.dumps([list(sort), *position], ensure_ascii=False, separators=(",", ":"))
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def position(cursor: str, sort: Sequence[str], order: Order) -> list:
    """What :func:`cursor` was made of.

    :raises BadRequest: it was not made here, or for another order
    """
    try:
        made_for, *values = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, TypeError, RecursionError):
        made_for, values = None, []
    if made_for != list(sort) or len(values) != len(order) or not all(map(_sound, order, values)):
        raise BadRequest(f"the page {cursor[:80]!r} is none of this search: take the link of the page before",
                         code="value")
    return values


def _sound(key: Key, value: Any) -> bool:
    """Whether a column could have this value, which came from outside."""
    if value is None:
        return not key.certain
    if type(value) is int:
        return key.kind is int and abs(value) < _MAX_INT
    return type(value) is key.kind is str and "\0" not in value and value == value.encode("utf-8", "ignore").decode()
