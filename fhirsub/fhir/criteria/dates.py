"""What a date parameter may ask: a prefix and a time of any precision, compared as spans.

Spec: https://hl7.org/fhir/R4/search.html#date, https://hl7.org/fhir/R4/search.html#prefix
"""
from __future__ import annotations

import re
from datetime import timedelta
from typing import NamedTuple

from ..instants import EPOCH, span
from ..values import Date
from . import ranges
from .clause import Clause
from .escapes import unescape

# ``ap`` reaches a tenth of the distance to this day further. R4 recommends "now", but then a criteria would change its
# meaning with the clock, and one question would not have one answer.
_APPROXIMATE_AS_OF = span("2025-01-01")[0]

# ``ge`` and ``le`` take the range above and below from "the specified value and up" (R4), so that a period which ends
# or begins inside the value counts; ``gt`` and ``lt`` take what lies wholly outside the value.
_COMPARE = {
    "eq": lambda asked, found: asked.low <= found.low and found.high <= asked.high,
    "ne": lambda asked, found: found.low < asked.low or asked.high < found.high,
    "gt": lambda asked, found: found.high > asked.high,
    "lt": lambda asked, found: found.low < asked.low,
    "ge": lambda asked, found: found.high > asked.low,
    "le": lambda asked, found: found.low < asked.high,
    "sa": lambda asked, found: found.low >= asked.high,
    "eb": lambda asked, found: found.high <= asked.low,
    "ap": lambda asked, found: found.low < asked.high + asked.margin and found.high > asked.low - asked.margin,
}
_PREFIXED = re.compile(r"([a-z]{2})?(.+)", re.DOTALL)
_BLANK_ZONE = re.compile(r" (\d\d:\d\d)$")


class Dated(NamedTuple):
    """The span asked for, half open, in microseconds since 1970; ``margin`` is how far ``ap`` reaches beyond it."""

    prefix: str
    low: int
    high: int

    @property
    def margin(self) -> int:
        return max(self.low - _APPROXIMATE_AS_OF, _APPROXIMATE_AS_OF - self.high, 0) // 10

    def matches(self, value: Date) -> bool:
        return _COMPARE[self.prefix](self, value)

    def text(self) -> str:
        prefix = "" if self.prefix == "eq" else self.prefix
        return prefix + _shortest(self.low, self.high)

    def key(self) -> None:
        return None

    def window(self) -> ranges.Window | None:
        margin = self.margin if self.prefix == "ap" else 0
        return ranges.window(self.prefix, self.low - margin, self.high + margin)


def parse(text: str, clause: Clause) -> Dated:
    """One value of a date parameter.

    :raises ValueError: an unknown prefix, or no date
    """
    prefix, moment = _PREFIXED.fullmatch(unescape(text)).groups()
    if prefix and prefix not in _COMPARE:
        raise ValueError(f"prefix {prefix!r} is none of {', '.join(_COMPARE)}")
    # A + that was not percent-encoded arrives as a blank; before a zone it can mean nothing else.
    return Dated(prefix or "eq", *span(_BLANK_ZONE.sub(r"+\1", moment)))


def _shortest(low: int, high: int) -> str:
    """The shortest date in UTC that means this span: one text for one question."""
    whole = (EPOCH + timedelta(microseconds=low)).replace(tzinfo=None).isoformat(timespec="microseconds")
    dates = (whole[:length] for length in (4, 7, 10))
    times = (whole[:length] + "Z" for length in (16, 19, *range(21, 27)))
    return next(text for text in (*dates, *times) if span(text) == (low, high))
