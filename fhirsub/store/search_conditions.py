"""Operands of criteria as conditions on a row of ``search_value``: what ``matches`` says in memory, said in SQL.

The columns stand in :mod:`.search_rows`. Starts-with is a range, which the index on ``value`` answers.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_

from ..errors import UnsupportedCriteria
from ..fhir.criteria import dates, references, strings, tokens, uris
from ..fhir.search_values.strings import fold
from .search_rows import MAX_PREFIX, code_value, indexed, typed_value
from .tables import search_value

_c = search_value.c

_LAST = "\U0010ffff"  # comes after every character in code-point order and is none itself


def any_of(operands: Sequence[Any]) -> ColumnElement[bool]:
    """What a row must be to match one of ``operands``; whose rows, says :func:`rows_of`."""
    matched = or_(*(_CONDITIONS[type(operand)](operand) for operand in operands))
    equal = [_EQUAL[type(operand)](operand) for operand in operands if type(operand) in _EQUAL]
    if len(operands) == 1 or len(equal) < len(operands) or not all(equal):
        return matched
    # SQLite sees one index range for each value in this, and none in a longer OR.
    return and_(_c.value.in_([value for values in equal for value in values]), matched)


def rows_of(code: str, modifier: str | None) -> str:
    """The ``parameter`` column of the rows that ``code:modifier`` looks at."""
    return f"{code}:{modifier}" if modifier in ("of-type", "identifier") else code


def _coded(asked: tokens.Coded) -> ColumnElement[bool]:
    if not asked.code:
        return _c.system == asked.system
    found = _one_of(_codes(asked), _c.system)
    return found if asked.system is None else and_(found, _c.system == asked.system)


def _codes(asked: tokens.Coded) -> list[str]:
    """The code with case, where a system scopes it, and without, where none does."""
    if not asked.code:
        return []
    systems = ("any", "") if asked.system is None else (asked.system,)
    return list(dict.fromkeys(code_value(system, asked.code) for system in systems))


def _one_of(values: Sequence[str], system: ColumnElement) -> ColumnElement[bool]:
    if len(values) == 1:
        return _c.value == values[0]
    # A row without system is in lower case, so it is never equal to what has a capital letter.
    return and_(_c.value.in_(values), or_(_c.value == values[0], system == ""))


def _of_type(asked: tokens.OfType) -> ColumnElement[bool]:
    return and_(_one_of(_typed(asked), _c.text), _c.system == asked.type_system)


def _typed(asked: tokens.OfType) -> list[str]:
    return [typed_value(asked.type_code, code) for code in _codes(tokens.Coded(None, asked.value))]


def _starts_with(prefix: str) -> ColumnElement[bool]:
    if len(prefix) > MAX_PREFIX:
        raise UnsupportedCriteria(f"the start of a text to search for has at most {MAX_PREFIX} characters; "
                                  f"got {prefix[:40]}…")
    return and_(_c.value >= prefix, _c.value < prefix + _LAST)


def _above(asked: uris.Above) -> ColumnElement[bool]:
    if len(asked.uri) > MAX_PREFIX:
        raise UnsupportedCriteria(f":above takes a URL of at most {MAX_PREFIX} characters; got {asked.uri[:40]}…")
    return _c.value.in_(_beginnings(asked))


def _beginnings(asked: uris.Above) -> list[str]:
    return [asked.uri[:length] for length in range(1, len(asked.uri) + 1)]


def _targets(asked: references.ById) -> list[str]:
    return [f"{kind}/{asked.id}" for kind in asked.types]


def _to(asked: references.To) -> ColumnElement[bool]:
    found = _c.value == indexed(asked.target)
    return and_(found, _c.text == asked.version) if asked.version else found


def _version_below(asked: references.VersionBelow) -> ColumnElement[bool]:
    found = _c.value == indexed(asked.target)
    if not asked.version:
        return found
    return and_(found, or_(_c.text == asked.version, _c.text.startswith(asked.version + ".", autoescape=True)))


def dated(asked: dates.Dated, low: ColumnElement, high: ColumnElement) -> ColumnElement[bool]:
    """:meth:`.dates.Dated.matches` on a span in two columns."""
    conditions = {
        # The span ends after it begins, so the second bound adds nothing but an end to the index range.
        "eq": lambda: and_(low >= asked.low, low < asked.high, high <= asked.high),
        "ne": lambda: or_(low < asked.low, high > asked.high),
        "gt": lambda: high > asked.high,
        "lt": lambda: low < asked.low,
        "ge": lambda: high > asked.low,
        "le": lambda: low < asked.high,
        "sa": lambda: low >= asked.high,
        "eb": lambda: and_(low < asked.low, high <= asked.low),
        "ap": lambda: and_(low < asked.high + asked.margin, high > asked.low - asked.margin)}
    return conditions[asked.prefix]()


_CONDITIONS: dict[type, Callable[[Any], ColumnElement[bool]]] = {
    tokens.Coded: _coded,
    tokens.OfType: _of_type,
    tokens.Display: lambda asked: _c.text.startswith(asked.folded, autoescape=True),
    strings.StartsWith: lambda asked: _starts_with(asked.folded),
    strings.Contains: lambda asked: func.coalesce(_c.system, _c.value).contains(asked.folded, autoescape=True),
    strings.Exact: lambda asked: and_(_c.value == indexed(fold(asked.exact)), _c.text == asked.exact),
    dates.Dated: lambda asked: dated(asked, _c.low, _c.high),
    references.ById: lambda asked: _c.value.in_(_targets(asked)),
    references.To: _to,
    references.VersionBelow: _version_below,
    references.ByIdentifier: lambda asked: _coded(asked.token),
    uris.SameUri: lambda asked: _c.value == indexed(asked.uri),
    uris.Below: lambda asked: _starts_with(asked.uri),
    uris.Above: _above,
}

# The values that a row must have one of, where that can be said.
_EQUAL: dict[type, Callable[[Any], list[str]]] = {
    tokens.Coded: _codes,
    tokens.OfType: _typed,
    strings.Exact: lambda asked: [indexed(fold(asked.exact))],
    references.ById: _targets,
    references.To: lambda asked: [indexed(asked.target)],
    references.VersionBelow: lambda asked: [indexed(asked.target)],
    references.ByIdentifier: lambda asked: _codes(asked.token),
    uris.SameUri: lambda asked: [indexed(asked.uri)],
    uris.Above: _beginnings,
}
