"""Ranges as access keys: what is compared by order, filed and found by equality.

Values become cells of a line, 0 to 2²¹ - 1, in their order. A range is filed under few nodes of the binary tree over
these cells, and a value looks under each node above its own cell. So a node may hold more than the range, never less.

Spec: https://hl7.org/fhir/R4/search.html#prefix
"""
from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from ..values import Date, Number, Quantity

LOW, HIGH, BEGIN = "low", "high", "begin"   # of a value the low end, the high end, and what lies between
KINDS = frozenset({LOW, HIGH, BEGIN})

_LEVELS = 21
_LAST = (1 << _LEVELS) - 1
_MIDDLE = 1 << _LEVELS - 1
_MAX_NODES = 8      # more would make a range narrower by less than it costs to file
_STEP = 3           # levels between the nodes for where a range begins: half as many keys as with 1
_HOUR_BITS = 32     # a cell of time is 2³² µs, 72 minutes; the line reaches from 1827 to 2112
_NUMBER_SHIFT = 38  # of a float's 52 bits after the point 14 count, and magnitudes from 2⁻²⁰ to 2⁴⁴
_SMALLEST = 1003 << 14


class Window(NamedTuple):
    """Where a value must lie for a match, in cells, both inclusive.

    :param end: ``low`` | ``high``: that end of the value lies in it; ``begin``: what lies between its ends meets it
    """

    end: str
    low: int
    high: int

    @property
    def bounded(self) -> bool:
        """Whether it has two ends."""
        return self.low > 0 and self.high < _LAST

    @property
    def needs(self) -> tuple[str, ...]:
        """The kinds of keys that a value must be asked for."""
        return (LOW, BEGIN) if self.end == BEGIN else (self.end,)

    def keys(self) -> Iterator[str]:
        """Where it is filed: a value that lies so has one of these among its probes."""
        end = LOW if self.end == BEGIN else self.end
        yield from (_node(end, *node) for node in _cover(self.low, self.high))
        if self.end == BEGIN:   # or the value has begun before and reaches in
            yield from (_node(BEGIN, level, self.low >> level) for level in range(0, _LEVELS, _STEP))


def window(prefix: str, low: int | Decimal, high: int | Decimal) -> Window | None:
    """What a comparison demands; None if it is no range.

    :param low: to ``high`` is what is asked for, as times or as numbers
    """
    low, high = _cell(low), _cell(high)
    return {"eq": Window(LOW, low, high), "ap": Window(BEGIN, low, high),
            "gt": Window(HIGH, low, _LAST), "ge": Window(HIGH, low, _LAST), "sa": Window(LOW, low, _LAST),
            "lt": Window(LOW, 0, high), "le": Window(LOW, 0, high), "eb": Window(HIGH, 0, high)}.get(prefix)


def both(one: Window, other: Window) -> Window | None:
    """What two comparisons of one parameter demand together if they bound it from both sides.

    Several values of a resource count as one that reaches from the first to the last: each may satisfy one of the two.
    """
    if {one.end, other.end} != {LOW, HIGH}:
        return None
    until, since = sorted((one, other), key=lambda side: side.end == HIGH)
    bounded = until.low == 0 and since.high == _LAST and since.low <= until.high
    return Window(BEGIN, since.low, until.high) if bounded else None


def probes(found: tuple[Date | Number | Quantity, ...], end: str) -> list[str]:
    """The keys of every window that these values could match.

    :param end: ``low`` | ``high`` | ``begin``, the kind of keys
    """
    if end == BEGIN:
        return [_node(end, *node) for node in _between(min(_lows(found)) + 1, max(_highs(found)))] if found else []
    cells = _lows(found) if end == LOW else _highs(found)
    return [_node(end, level, cell >> level) for cell in cells for level in range(_LEVELS + 1)]


def _lows(found: tuple[Date | Number | Quantity, ...]) -> set[int]:
    return {0 if value.low is None else _cell(value.low) for value in found}


def _highs(found: tuple[Date | Number | Quantity, ...]) -> set[int]:
    return {_LAST if value.high is None else _cell(value.high) for value in found}


def _node(end: str, level: int, number: int) -> str:
    return f"{end} {level}.{number:x}"


def _cell(value: int | Decimal) -> int:
    """Where a time in microseconds since 1970, or a number, lies on the line."""
    if isinstance(value, int):
        return min(max((value >> _HOUR_BITS) + _MIDDLE, 0), _LAST)
    bits, = struct.unpack(">q", struct.pack(">d", abs(float(value))))   # ordered as the floats are
    size = min(max((bits >> _NUMBER_SHIFT) - _SMALLEST, 0), _MIDDLE - 1)
    return _MIDDLE + size if value >= 0 else _MIDDLE - 1 - size


def _cover(low: int, high: int) -> list[tuple[int, int]]:
    """Nodes that hold the cells from ``low`` to ``high``, as finely as few can."""
    for level in range(_LEVELS + 1):
        nodes = list(_exactly(low >> level, high >> level, level))
        if len(nodes) <= _MAX_NODES:
            return nodes
    raise AssertionError("one node holds all cells")


def _exactly(low: int, high: int, level: int) -> Iterator[tuple[int, int]]:
    while low <= high:
        if low & 1:
            yield level, low
            low += 1
        if not high & 1:
            yield level, high
            high -= 1
        low, high, level = low >> 1, high >> 1, level + 1


def _between(low: int, high: int) -> Iterator[tuple[int, int]]:
    """The fewest nodes of the levels with a ``begin`` that hold precisely these cells."""
    width = 1 << _STEP
    for level in range(0, _LEVELS, _STEP):
        top = level + _STEP >= _LEVELS
        while low <= high and (low % width or top):
            yield level, low
            low += 1
        while low <= high and (high + 1) % width:
            yield level, high
            high -= 1
        if low > high:
            return
        low, high = low >> _STEP, high >> _STEP
