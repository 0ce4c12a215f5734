"""What a search parameter found, as text for people: the same signs as in a search, nothing escaped.

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""
from __future__ import annotations

import textwrap
from datetime import timedelta
from decimal import Decimal
from typing import Any

from ..instants import EPOCH
from ..values import MAX, MIN, Composite, Date, Number, Quantity, Reference, String, Token, Uri, Words


MAX_WORDS_LENGTH = 500  # characters of the words that are shown


def text(value: Any) -> str:
    """``http://loinc.org|718-7 (Haemoglobin)``, ``Patient/1``, ``2024-01-01T00:00:00Z/2024-01-02T00:00:00Z``.

    :param value: a tuple of :mod:`fhirsub.fhir.values`
    """
    return _TEXTS[type(value)](value)


def _token(value: Token) -> str:
    code = f"{value.system}|{value.code}" if value.system else value.code
    typed = f"{value.type_system}|{value.type_code}" if value.type_code else ""
    return " ".join([code, *(f"({more})" for more in (value.text, typed) if more)]).strip()


def _reference(value: Reference) -> str:
    target = "|".join(part for part in (value.target, value.version) if part)
    identifier = "|".join(part for part in (value.identifier_system, value.identifier_value) if part)
    return " ".join([target, *([f"(identifier {identifier})"] if identifier else [])]).strip()


def _date(value: Date) -> str:
    """An interval, for that is how dates are compared; an open end is ``..``, and the end is not part of it."""
    return f"{_moment(value.low)}/{_moment(value.high)}"


def _moment(microseconds: int) -> str:
    if microseconds in (MIN, MAX):
        return ".."
    return (EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None).isoformat() + "Z"


def _number(value: Number | Quantity) -> str:
    if value.low == value.high:
        return str(value.low)
    return f"{_bound(value.low)}..{_bound(value.high)}"


def _bound(number: Decimal | None) -> str:
    return "" if number is None else str(number)


def _quantity(value: Quantity) -> str:
    unit = value.code or value.unit
    return f"{_number(value)}|{value.system}|{unit}" if value.system or unit else _number(value)


def _composite(value: Composite) -> str:
    return "$".join(",".join(map(text, found)) for found in value.components)


def _words(value: Words) -> str:
    """As many whole words as a reader may want to see."""
    return textwrap.shorten(value.text, MAX_WORDS_LENGTH, placeholder=" …")


_TEXTS = {Token: _token, String: lambda value: value.exact, Date: _date, Reference: _reference,
          Uri: lambda value: value.uri, Number: _number, Quantity: _quantity, Composite: _composite,
          Words: _words}
