"""Search values as rows of ``search_value``: what a search can find of a current version.

=========  ====================================  ====================  ============================================
kind       ``value``                             ``system``            ``text``
=========  ====================================  ====================  ============================================
Token      code; lower case if it has no system  system or ""          folded display or text
of-type    type code | value, as above           system of the type    system of the identifier or ""
String     folded                                folded, if cut        as written
Reference  target                                –                     version or ""
identifier value, as a Token                     system or ""          –
Uri        as written                            –                     –
Words      –                                     –                     folded, each between blanks
Number     low end, :mod:`.sortable`             –                     –
Quantity   low end, :mod:`.sortable`             system                code of the unit
=========  ====================================  ====================  ============================================

A Date has ``low`` and ``high``. A Number or Quantity that is a range has its high end in ``upper``; a Quantity has in
``unit`` what people write, if it is not the code. ``code:of-type`` and ``code:identifier`` are parameters of their own.
So are the components of a Composite, ``code-value-quantity$0`` and ``$1``; those found at one place have the same
``part``.
``_list`` has the current members of a List or Group. ``_id`` and ``_lastUpdated`` need no rows: they stand in
``resource``.
"""
from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from ..fhir.criteria.chains import MEMBERS
from ..fhir.criteria.escapes import escape
from ..fhir.definitions.parameters import search_parameters
from ..fhir.search_values import SearchValues, references
from ..fhir.search_values.strings import fold
from ..fhir.values import Composite, Date, Number, Quantity, Reference, String, Token, Uri, Words
from .sortable import HIGHEST, LOWEST, sortable

# PostgreSQL takes 2,704 bytes in an index entry; 500 characters are up to 2,000 in UTF-8, type and parameter 128 more.
MAX_INDEXED = 500
# Of a longer text its beginning is kept, for "starts with", and a hash of the whole, for equality.
MAX_PREFIX = MAX_INDEXED - 64

IN_RESOURCE = frozenset({"_id", "_lastUpdated"})
_HOLDS = {"List": ("entry", "item", "deleted"), "Group": ("member", "entity", "inactive")}
SEARCHABLE = frozenset({"token", "string", "date", "reference", "uri", "number", "quantity", "composite", "fulltext"})


def rows(values: SearchValues) -> list[dict[str, Any]]:
    """The rows of one resource.

    :returns: ``{"parameter": "code", "system": …, "value": …, "text": …}``, with ``low`` and ``high`` if it is a date,
        ``upper`` and ``unit`` if it is a number or quantity, ``part`` if it belongs to a composite
    """
    return _members(values) + [
        row for code, parameter in search_parameters(values.type).items()
        if parameter.type in SEARCHABLE and code not in IN_RESOURCE
        for part, value in enumerate(values[code])
        for row in (_composite(code, value, part) if type(value) is Composite else _ROWS[type(value)](code, value))]


def _members(values: SearchValues) -> list[dict]:
    """What a List or Group holds now, for ``_list``; ``item`` and ``member`` find what is marked as gone, too."""
    if values.type not in _HOLDS:
        return []
    entries, item, gone = _HOLDS[values.type]
    return [row for entry in values.resource.get(entries, ()) if not entry.get(gone) and item in entry
            for reference in references.convert(entry[item], "Reference", values.base_url)
            for row in _reference(MEMBERS.code, reference)]


def indexed(text: str) -> str:
    """``text`` as the ``value`` column has it: short enough for an index, different for different texts."""
    if len(text) <= MAX_INDEXED:
        return text
    return text[:MAX_PREFIX] + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def asked(text: str) -> str:
    """:func:`indexed`, as a query can hold a text that came from outside."""
    return _storable(indexed(text))


def code_value(system: str, code: str) -> str:
    """A code as it is compared: as written if a system scopes it, else in lower case."""
    return indexed(code if system else code.lower())


def typed_value(type_code: str, value: str) -> str:
    """An identifier's value with its type before it, for ``:of-type``."""
    return indexed(f"{escape(type_code)}|{value}")


def component(code: str, number: int) -> str:
    """The ``parameter`` column of the rows that a composite's component has, counted from 0."""
    return f"{code}${number}"


def _row(parameter, value=None, system=None, text=None, **others):
    return {"parameter": parameter, "system": _storable(system), "value": _storable(value), "text": _storable(text),
            **others}


def _storable(text):
    """PostgreSQL has no NUL in a text; JSON has."""
    return text.replace("\0", "\ufffd") if text and "\0" in text else text


def _token(code: str, token: Token) -> Iterator[dict]:
    value = code_value(token.system, token.code)
    yield _row(code, value, token.system, fold(token.text) if token.text else None)
    if token.type_code:
        yield _row(f"{code}:of-type", typed_value(token.type_code, value), token.type_system, token.system)


def _string(code: str, string: String) -> Iterator[dict]:
    cut = len(string.folded) > MAX_INDEXED
    yield _row(code, indexed(string.folded), string.folded if cut else None, string.exact)


def _date(code: str, date: Date) -> Iterator[dict]:
    yield _row(code, low=date.low, high=date.high)


def _reference(code: str, reference: Reference) -> Iterator[dict]:
    yield _row(code, indexed(reference.target), text=reference.version)
    if reference.identifier_system or reference.identifier_value:
        yield _row(f"{code}:identifier", code_value(reference.identifier_system, reference.identifier_value),
                   reference.identifier_system)


def _uri(code: str, uri: Uri) -> Iterator[dict]:
    yield _row(code, indexed(uri.uri))


def _words(code: str, words: Words) -> Iterator[dict]:
    """Not in the indexed column: no index finds a word in the middle, and each would grow by the whole text."""
    yield _row(code, text=words.text)


def _number(code: str, number: Number) -> Iterator[dict]:
    value, upper = _ends(number)
    yield _row(code, value, upper=upper)


def _quantity(code: str, quantity: Quantity) -> Iterator[dict]:
    value, upper = _ends(quantity)
    unit = _storable(quantity.unit) if quantity.unit != quantity.code else None
    yield _row(code, value, quantity.system, quantity.code, upper=upper, unit=unit)


def _ends(found: Number | Quantity) -> tuple[str, str | None]:
    """A single number has no upper end: so the index on ``value`` finds it from both sides."""
    low = LOWEST if found.low is None else sortable(found.low)
    high = HIGHEST if found.high is None else sortable(found.high)
    return low, high if high != low else None


def _composite(code: str, composite: Composite, part: int) -> Iterator[dict]:
    for number, values in enumerate(composite.components):
        name = component(code, number)
        for value in values:
            # A composite has no modifiers, so nobody asks for the rows that :of-type and :identifier look at.
            yield from ({**row, "part": part} for row in _ROWS[type(value)](name, value) if row["parameter"] == name)


_ROWS = {Token: _token, String: _string, Date: _date, Reference: _reference, Uri: _uri, Number: _number,
         Quantity: _quantity, Words: _words}
