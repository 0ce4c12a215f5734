"""What number and quantity parameters may ask: a prefix, a decimal whose digits say how precise it is, and a unit.

Spec: https://hl7.org/fhir/R4/search.html#number, https://hl7.org/fhir/R4/search.html#quantity
"""
from __future__ import annotations

import re
from decimal import Context, Decimal
from typing import NamedTuple

from ..values import Number, Quantity
from . import ranges
from .clause import Clause
from .escapes import escape, split, unescape

# A longer number is no measurement, and 1e999999999 would be a gigabyte when written out.
_NUMBER = re.compile(r"([a-z]{2})?(-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?)", re.ASCII)
_EXACTLY = Context(prec=300)  # more digits than any number that _NUMBER takes can need

_COMPARE = {
    "eq": lambda asked, found: _within(asked, found),
    "ne": lambda asked, found: not _within(asked, found),
    "gt": lambda asked, found: found.high is None or found.high > asked.number,
    "lt": lambda asked, found: found.low is None or found.low < asked.number,
    "ge": lambda asked, found: found.high is None or found.high >= asked.number,
    "le": lambda asked, found: found.low is None or found.low <= asked.number,
    "sa": lambda asked, found: found.low is not None and found.low > asked.number,
    "eb": lambda asked, found: found.high is not None and found.high < asked.number,
    "ap": lambda asked, found: ((found.high is None or found.high >= asked.low)
                                and (found.low is None or found.low <= asked.high)),
}


class Compared(NamedTuple):
    """``low`` and ``high`` are what ``eq``, ``ne`` and ``ap`` allow: half a unit of the last digit, or a tenth."""

    prefix: str
    number: Decimal
    low: Decimal
    high: Decimal

    def matches(self, value: Number | Quantity) -> bool:
        return _COMPARE[self.prefix](self, value)

    def text(self) -> str:
        if self.prefix == "eq":
            return str(self.number)
        # Only these two depend on how many digits were written.
        return self.prefix + str(self.number if self.prefix in ("ne", "ap") else self.number.normalize(_EXACTLY))

    def key(self) -> None:
        return None

    def window(self) -> ranges.Window | None:
        if self.prefix in ("eq", "ap"):
            return ranges.window(self.prefix, self.low, self.high)
        return ranges.window(self.prefix, self.number, self.number)


class Measured(NamedTuple):
    """``system`` and ``code`` are "" when any will do; a code without system may be the unit as people write it."""

    compared: Compared
    system: str
    code: str

    def matches(self, value: Quantity) -> bool:
        if self.system and self.system != value.system:
            return False
        if self.code and self.code != value.code and (self.system or self.code != value.unit):
            return False
        return self.compared.matches(value)

    def text(self) -> str:
        unit = f"|{escape(self.system)}|{escape(self.code)}" if self.system or self.code else ""
        return self.compared.text() + unit

    def key(self) -> None:
        return None

    def window(self) -> ranges.Window | None:
        return self.compared.window()


def parse_number(text: str, clause: Clause) -> Compared:
    """One value of a number parameter.

    :raises ValueError: not a number, or an unknown prefix
    """
    found = _NUMBER.fullmatch(unescape(text))
    if not found or (found[1] or "eq") not in _COMPARE:
        raise ValueError(f"expected a number such as 5.4, ge5.4 or 5.40e-3 with one of the prefixes "
                         f"{', '.join(_COMPARE)}; got {text!r}")
    prefix, number = found[1] or "eq", Decimal(found[2])
    reach = _half_a_unit(number)
    if prefix == "ap":
        reach = max(reach, abs(number).scaleb(-1, _EXACTLY))
    return Compared(prefix, number, _EXACTLY.subtract(number, reach), _EXACTLY.add(number, reach))


def parse_quantity(text: str, clause: Clause) -> Measured:
    """One value of a quantity parameter: ``5.4``, ``5.4||mg`` or ``5.4|http://unitsofmeasure.org|mg``.

    :raises ValueError: not of that form
    """
    parts = split(text, "|")
    if len(parts) not in (1, 3):
        raise ValueError("expected number, number||unit or number|system|code")
    system, code = (unescape(part) for part in parts[1:]) if len(parts) == 3 else ("", "")
    return Measured(parse_number(parts[0], clause), system, code)


def _half_a_unit(number: Decimal) -> Decimal:
    """Of the last digit written: 0.05 for 5.4, 0.5 for 100.

    R4's rule would make 1e2 reach from 50 to 150; its table says 95 to 105, and the table is what is followed.
    """
    _, digits, exponent = number.as_tuple()
    if exponent > 0 and len(digits) == 1:
        exponent -= 1
    return Decimal((0, (5,), exponent - 1))


def _within(asked: Compared, found: Number | Quantity) -> bool:
    if found.low is None or found.high is None:
        return False
    return asked.low <= found.low and found.high < asked.high
