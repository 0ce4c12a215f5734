"""Dates: everything with a time as the span it covers.

Spec: https://hl7.org/fhir/R4/search.html#date
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..instants import span
from ..values import MAX, MIN, Date

_INSTANTS = ("date", "dateTime", "instant")
TYPES = frozenset((*_INSTANTS, "Period", "Timing"))


def convert(value: Any, kind: str, base_url: str = "") -> Iterable[Date]:
    """The span of one element; none for what has no date (an Age or a text among the choices of ``onset[x]``).

    :raises ValueError: there is no such day or time
    """
    if kind in _INSTANTS:
        return (Date(*span(value)),)
    if kind == "Period":
        return _period(value)
    return _timing(value) if kind == "Timing" else ()


def _period(period: dict) -> Iterable[Date]:
    """From the first moment of its start to the last of its end; an absent one is open."""
    start, end = period.get("start"), period.get("end")
    if not start and not end:
        return ()
    low = span(start)[0] if start else MIN
    return (Date(low, max(low, span(end)[1]) if end else MAX),)


def _timing(timing: dict) -> Iterable[Date]:
    """Only the outer limits of a schedule count: its events and the bounds of its repetition."""
    spans = [Date(*span(event)) for event in timing.get("event", ())]
    spans += _period(timing.get("repeat", {}).get("boundsPeriod", {}))
    return (Date(min(one.low for one in spans), max(one.high for one in spans)),) if spans else ()
