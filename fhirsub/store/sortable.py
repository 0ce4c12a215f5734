"""Decimals as text that sorts as they do, exactly and in every database: SQLite's own numbers are 64-bit floats.

``7.20`` is ``11000072`` (positive, exponent + 10000, digits), ``-7.2`` the complement of that with a ``~`` behind it,
so that -7 comes after -7.2, and zero is ``0``.

Spec: https://hl7.org/fhir/R4/datatypes.html#decimal
"""
from __future__ import annotations

from decimal import Decimal

# Open ends of an interval: before and after every number.
LOWEST, HIGHEST = "", "~"

# A search asks for at most forty digits on either side of the point, shifted by at most 99, and compares with half a
# unit of the last one. What lies beyond these is on the same side of all that can be asked, and fits an index entry.
_MAX_EXPONENT = 9999
_MAX_DIGITS = 300

_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def sortable(number: Decimal) -> str:
    """``number`` as text; that of a greater number is greater by code points, and equal numbers give equal text."""
    if not number:
        return "0"
    sign, digits, _ = number.as_tuple()
    exponent = max(-_MAX_EXPONENT, min(number.adjusted(), _MAX_EXPONENT))
    magnitude = f"1{exponent + 10000:05}{_significant(digits)}"
    return f"-{magnitude.translate(_COMPLEMENT)}~" if sign else magnitude


def _significant(digits: tuple[int, ...]) -> str:
    text = "".join(map(str, digits)).rstrip("0")
    # One digit more keeps what was cut greater than its beginning.
    return text if len(text) <= _MAX_DIGITS else text[:_MAX_DIGITS] + "1"
