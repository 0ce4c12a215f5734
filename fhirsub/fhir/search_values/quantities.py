"""Numbers and quantities, as the interval of values that they stand for.

The precision of a number does not matter here: "100 means 99.5 to 100.5" is said of the number in a search.
Spec: https://hl7.org/fhir/R4/search.html#number, https://hl7.org/fhir/R4/search.html#quantity
"""
from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ..values import Number, Quantity

CURRENCY_SYSTEM = "urn:iso:std:iso:4217"
_QUANTITIES = {"Quantity", "Age", "Count", "Distance", "Duration"}


def convert_number(value: Any, kind: str, base_url: str = "") -> Iterable[Number]:
    if kind == "Range":
        low, high = _limits(*(_end(value, end)[0] for end in ("low", "high")))
        return () if low is None and high is None else (Number(low, high),)
    if kind in ("decimal", "integer", "positiveInt", "unsignedInt"):
        return (Number(_decimal(value), _decimal(value)),)
    return ()


def convert_quantity(value: Any, kind: str, base_url: str = "") -> Iterable[Quantity]:
    """None for SampledData, and for a quantity without a value: it would be open at both ends and match any search."""
    if kind == "Range":
        return _range(value)
    if not isinstance(value, dict) or "value" not in value:
        return ()
    number = _decimal(value["value"])
    if kind == "Money":
        currency = value.get("currency", "")
        return (Quantity(number, number, CURRENCY_SYSTEM if currency else "", currency, currency),)
    return (Quantity(*_compared(number, value.get("comparator", "")), *_unit(value)),) if kind in _QUANTITIES else ()


def _compared(number: Decimal, comparator: str) -> tuple[Decimal | None, Decimal | None]:
    """``<5`` is anything below five."""
    return (None if comparator.startswith("<") else number), (None if comparator.startswith(">") else number)


def _range(value: dict) -> Iterable[Quantity]:
    (low, low_unit), (high, high_unit) = _end(value, "low"), _end(value, "high")
    if low is None and high is None:
        return ()
    return (Quantity(*_limits(low, high), *(low_unit if any(low_unit) else high_unit)),)


def _limits(low: Decimal | None, high: Decimal | None) -> tuple[Decimal | None, Decimal | None]:
    """A range that ends below its beginning is only where it begins, as a period is: the index relies on an order."""
    return low, high if low is None or high is None else max(low, high)


def _end(value: dict, end: str) -> tuple[Decimal | None, tuple[str, str, str]]:
    quantity = value.get(end, {})
    return (_decimal(quantity["value"]) if "value" in quantity else None), _unit(quantity)


def _unit(quantity: dict) -> tuple[str, str, str]:
    return quantity.get("system", ""), quantity.get("code", ""), quantity.get("unit", "")


def _decimal(number: Any) -> Decimal:
    """A host application may have decoded its JSON to float."""
    return number if type(number) is Decimal else Decimal(str(number))
