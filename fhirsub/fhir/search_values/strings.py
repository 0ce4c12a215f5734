"""Strings: texts, and the parts of names and addresses.

Spec: https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from ..values import String

_PARTS = {"HumanName": ("text", "family", "given", "prefix", "suffix"),
          "Address": ("text", "line", "city", "district", "state", "postalCode", "country")}


def convert(value: Any, kind: str, base_url: str = "") -> Iterable[String]:
    """One for each text; the parts of a name or an address are searched one by one."""
    if isinstance(value, str):
        return (String(fold(value), value),)
    found = []
    for part in _PARTS.get(kind, ()):
        texts = value.get(part, ())
        found += [String(fold(text), text) for text in ((texts,) if isinstance(texts, str) else texts) if text]
    return found


def fold(text: str) -> str:
    """Text as strings are compared: without case and accents, each run of white space one blank.

    >>> fold("  Zoë  STRAẞE ")
    'zoe strasse'
    """
    if not text.isascii():
        text = "".join(letter for letter in unicodedata.normalize("NFKD", text) if not unicodedata.combining(letter))
    return " ".join(text.casefold().split())
