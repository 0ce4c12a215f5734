"""Accesses by order instead of equality: ranges of dates, numbers and quantities, and the beginnings of strings.

Spec: https://hl7.org/fhir/R4/search.html#prefix, https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from . import ranges, strings
from .access import Access
from .predicate import Predicate

_BEGINS = "begins"
KINDS = frozenset({_BEGINS, ranges.LOW, ranges.HIGH, ranges.BEGIN})

# Ranks among those of equalities: few resources share an identifying beginning; what has one open end, most share.
_LONG, _SHORT = 3.5, 5.2    # a beginning of four letters or more, and of fewer
_BOUNDED, _OPEN = 4.6, 6


def accesses(predicates: Iterable[Any]) -> Iterator[Access]:
    """The accesses of those among the predicates that compare by order; chains are none of them."""
    bounds: dict[str, ranges.Window] = {}
    for predicate in predicates:
        if not isinstance(predicate, Predicate) or predicate.modifier == "missing":
            continue
        if predicate.parameter.type == "string":
            yield from _beginnings(predicate)
        elif predicate.parameter.type in ("date", "number", "quantity"):
            yield from _ranges(predicate, bounds)


def probes(values: tuple[Any, ...], kind: str) -> list[str]:
    """Every value of an :class:`.Access` that these values of one parameter could match.

    :param kind: one of :data:`KINDS`
    """
    if kind != _BEGINS:
        return ranges.probes(values, kind)
    return [f"{_BEGINS} {beginning}" for value in values for beginning in strings.probes(value)]


def _beginnings(predicate: Predicate) -> Iterator[Access]:
    found, code = [operand.beginning() for operand in predicate.values], predicate.parameter.code
    if all(found):
        rank = _LONG if min(map(len, found)) >= 4 else _SHORT
        yield Access((rank, len(found)), code, tuple(f"{_BEGINS} {one}" for one in found), (f"{_BEGINS}:{code}",))


def _ranges(predicate: Predicate, bounds: dict[str, ranges.Window]) -> Iterator[Access]:
    """The range of one predicate, and the one that it has together with an earlier one of its parameter."""
    code, windows = predicate.parameter.code, [operand.window() for operand in predicate.values]
    if None in windows:
        return
    yield _range(code, windows)
    if len(windows) == 1:
        joined = ranges.both(bounds.setdefault(code, windows[0]), windows[0])
        if joined is not None:
            yield _range(code, [joined])


def _range(code: str, windows: list[ranges.Window]) -> Access:
    keys = tuple(dict.fromkeys(key for window in windows for key in window.keys()))
    needs = tuple(dict.fromkeys(f"{kind}:{code}" for window in windows for kind in window.needs))
    return Access((_BOUNDED if all(window.bounded for window in windows) else _OPEN, len(keys)), code, keys, needs)
