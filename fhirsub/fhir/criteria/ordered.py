"""Accesses by more than equality: ranges of dates, numbers and quantities, pieces of texts, and what is missing.

Spec: https://hl7.org/fhir/R4/search.html#prefix, https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..definitions.parameters import SearchParameter
from . import pieces, ranges
from .access import Access
from .predicate import Predicate

_MISSING = "missing"
KINDS = pieces.KINDS | ranges.KINDS | {_MISSING}

# Ranks among those of equalities: few resources share an identifying piece; what has one open end, many share.
_LONG, _SHORT = 3.5, 5.2    # a piece of four letters or more, and of fewer
_BOUNDED, OPEN, _SINCE = 4.6, 6, 7   # most writes are on one side of a date
_PRESENT = 7.5  # most have a value, or most have none


def accesses(predicates: Iterable[Any]) -> Iterator[Access]:
    """The accesses of those among the predicates that ask for more than equality; chains are none of them."""
    bounds: dict[str, ranges.Window] = {}
    for predicate in predicates:
        if not isinstance(predicate, Predicate):
            continue
        if predicate.modifier == "missing":
            yield _missing(predicate)
        elif predicate.parameter.type in ("string", "fulltext") or predicate.modifier == "text":
            yield from _pieces(predicate)
        elif predicate.parameter.type in ("date", "number", "quantity"):
            yield from _ranges(predicate, bounds)


def probes(values: tuple[Any, ...], kind: str) -> Iterable[str]:
    """Every value of an :class:`.Access` that these values of one parameter could match.

    :param kind: one of :data:`KINDS`
    """
    if kind == _MISSING:
        return [f"{_MISSING} false" if values else f"{_MISSING} true"]
    return pieces.probes(values, kind) if kind in pieces.KINDS else ranges.probes(values, kind)


def _missing(predicate: Predicate) -> Access:
    asked, code = predicate.asked(), predicate.parameter.code
    return Access((_PRESENT, len(asked)), code, tuple(f"{_MISSING} {one}" for one in asked), (f"{_MISSING}:{code}",))


def _pieces(predicate: Predicate) -> Iterator[Access]:
    found, code = [operand.piece() for operand in predicate.values], predicate.parameter.code
    if all(found):
        rank = _LONG if min(len(piece.text) for piece in found) >= 4 else _SHORT
        keys = tuple(dict.fromkeys(key for piece in found for key in piece.keys()))
        yield Access((rank, len(found)), code, keys, tuple(dict.fromkeys(f"{piece.kind}:{code}" for piece in found)))


def _ranges(predicate: Predicate, bounds: dict[str, ranges.Window]) -> Iterator[Access]:
    """The range of one predicate, and the one that it has together with an earlier one of its parameter."""
    code, windows = predicate.parameter.code, [operand.window() for operand in predicate.values]
    if None in windows:
        return
    yield _range(predicate.parameter, windows)
    if len(windows) == 1:
        joined = ranges.both(bounds.setdefault(code, windows[0]), windows[0])
        if joined is not None:
            yield _range(predicate.parameter, [joined])


def _range(parameter: SearchParameter, windows: list[ranges.Window]) -> Access:
    rank = _SINCE if parameter.type == "date" else OPEN
    if all(window.bounded for window in windows):
        rank = _BOUNDED
    keys = tuple(dict.fromkeys(key for window in windows for key in window.keys()))
    needs = tuple(dict.fromkeys(f"{kind}:{parameter.code}" for window in windows for kind in window.needs))
    return Access((rank, len(keys)), parameter.code, keys, needs)
