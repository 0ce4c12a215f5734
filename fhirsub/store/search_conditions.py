"""Operands of criteria as conditions on a row of ``search_value``: what ``matches`` says in memory, said in SQL.

The columns stand in :mod:`.search_rows`. Starts-with is a range, which the index on ``value`` answers.
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, false, func, or_

from ..errors import UnsupportedCriteria
from ..fhir.criteria import code_sets, dates, numbers, references, strings, tokens, uris, words
from ..fhir.search_values.strings import fold
from .search_rows import MAX_PREFIX, code_value, indexed, typed_value
from .sets import within
from .sortable import sortable
from .tables import search_value

_LAST = "\U0010ffff"  # comes after every character in code-point order and is none itself


def any_of(operands: Sequence[Any], c: Any = search_value.c) -> ColumnElement[bool]:
    """What a row must be to match one of ``operands``; whose rows, says :func:`rows_of`.

    :param c: the columns of the row
    """
    matched = or_(*(_CONDITIONS[type(operand)](operand, c) for operand in operands))
    equal = [_EQUAL[type(operand)](operand) for operand in operands if type(operand) in _EQUAL]
    if len(operands) == 1 or len(equal) < len(operands) or not all(equal):
        return matched
    # SQLite sees one index range for each value in this, and none in a longer OR.
    return and_(c.value.in_([value for values in equal for value in values]), matched)


def rows_of(code: str, modifier: str | None) -> str:
    """The ``parameter`` column of the rows that ``code:modifier`` looks at."""
    return f"{code}:{modifier}" if modifier in ("of-type", "identifier") else code


def _coded(asked: tokens.Coded, c: Any) -> ColumnElement[bool]:
    if not asked.code:
        return c.system == asked.system
    found = _one_of(_codes(asked), c.system, c)
    return found if asked.system is None else and_(found, c.system == asked.system)


def _codes(asked: tokens.Coded) -> list[str]:
    """The code with case, where a system scopes it, and without, where none does."""
    if not asked.code:
        return []
    systems = ("any", "") if asked.system is None else (asked.system,)
    return list(dict.fromkeys(code_value(system, asked.code) for system in systems))


def _one_of(values: Sequence[str], system: ColumnElement, c: Any) -> ColumnElement[bool]:
    if len(values) == 1:
        return c.value == values[0]
    # A row without system is in lower case, so it is never equal to what has a capital letter.
    return and_(c.value.in_(values), or_(c.value == values[0], system == ""))


def _of_type(asked: tokens.OfType, c: Any) -> ColumnElement[bool]:
    return and_(_one_of(_typed(asked), c.text, c), c.system == asked.type_system)


def _typed(asked: tokens.OfType) -> list[str]:
    return [typed_value(asked.type_code, code) for code in _codes(tokens.Coded(None, asked.value))]


def _code_set(asked: code_sets.CodeSet, c: Any) -> ColumnElement[bool]:
    by_system = defaultdict(list)
    for system, code in asked.codes:
        by_system[system].append(code_value(system, code))
    found = [and_(c.system == system, within(c.value, values=codes)) for system, codes in by_system.items()]
    if len(found) < 2:
        return found[0] if found else false()
    # One range of the index for each code; of an OR SQLite might read all rows of the parameter.
    every = {code for codes in by_system.values() for code in codes}
    return and_(within(c.value, values=every), or_(*found))


def _starts_with(prefix: str, c: Any) -> ColumnElement[bool]:
    if len(prefix) > MAX_PREFIX:
        raise UnsupportedCriteria(f"the start of a text to search for has at most {MAX_PREFIX} characters; "
                                  f"got {prefix[:40]}…")
    return and_(c.value >= prefix, c.value < prefix + _LAST)


def _above(asked: uris.Above, c: Any) -> ColumnElement[bool]:
    if len(asked.uri) > MAX_PREFIX:
        raise UnsupportedCriteria(f":above takes a URL of at most {MAX_PREFIX} characters; got {asked.uri[:40]}…")
    return c.value.in_(_beginnings(asked))


def _beginnings(asked: uris.Above) -> list[str]:
    return [asked.uri[:length] for length in range(1, len(asked.uri) + 1)]


def _targets(asked: references.ById) -> list[str]:
    return [f"{kind}/{asked.id}" for kind in asked.types]


def _to(asked: references.To, c: Any) -> ColumnElement[bool]:
    found = c.value == indexed(asked.target)
    return and_(found, c.text == asked.version) if asked.version else found


def _version_below(asked: references.VersionBelow, c: Any) -> ColumnElement[bool]:
    found = c.value == indexed(asked.target)
    if not asked.version:
        return found
    return and_(found, or_(c.text == asked.version, c.text.startswith(asked.version + ".", autoescape=True)))


def _compared(asked: numbers.Compared, c: Any) -> ColumnElement[bool]:
    """A single number, found by the index on ``value``, or a range, by the one on ``upper``."""
    found = or_(and_(c.upper.is_(None), _within(asked, c.value, c.value)),
                and_(c.upper.is_not(None), _within(asked, c.value, c.upper)))
    # Always true; but an OR alone would become two of the OR list around it, which SQLite limits in depth.
    return and_(c.value.is_not(None), found)


def _within(asked: numbers.Compared, low: ColumnElement, high: ColumnElement) -> ColumnElement[bool]:
    """:meth:`.numbers.Compared.matches`; open ends are texts before and after all others and need no mention."""
    number, least, most = map(sortable, (asked.number, asked.low, asked.high))
    conditions = {
        "eq": lambda: and_(low >= least, high < most),
        "ne": lambda: or_(low < least, high >= most),
        "gt": lambda: high > number,
        "lt": lambda: low < number,
        "ge": lambda: high >= number,
        "le": lambda: low <= number,
        "sa": lambda: low > number,
        "eb": lambda: high < number,
        "ap": lambda: and_(high >= least, low <= most)}
    return conditions[asked.prefix]()


def _measured(asked: numbers.Measured, c: Any) -> ColumnElement[bool]:
    conditions = [_compared(asked.compared, c)]
    if asked.system:
        conditions.append(c.system == asked.system)
    if asked.code:
        conditions.append(c.text == asked.code if asked.system else or_(c.text == asked.code, c.unit == asked.code))
    return and_(*conditions)


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


_CONDITIONS: dict[type, Callable[[Any, Any], ColumnElement[bool]]] = {
    tokens.Coded: _coded,
    tokens.OfType: _of_type,
    code_sets.CodeSet: _code_set,
    tokens.Display: lambda asked, c: c.text.startswith(asked.folded, autoescape=True),
    strings.StartsWith: lambda asked, c: _starts_with(asked.folded, c),
    strings.Contains: lambda asked, c: func.coalesce(c.system, c.value).contains(asked.folded, autoescape=True),
    strings.Exact: lambda asked, c: and_(c.value == indexed(fold(asked.exact)), c.text == asked.exact),
    dates.Dated: lambda asked, c: dated(asked, c.low, c.high),
    numbers.Compared: _compared,
    numbers.Measured: _measured,
    references.ById: lambda asked, c: c.value.in_(_targets(asked)),
    references.To: _to,
    references.VersionBelow: _version_below,
    references.ByIdentifier: lambda asked, c: _coded(asked.token, c),
    uris.SameUri: lambda asked, c: c.value == indexed(asked.uri),
    uris.Below: lambda asked, c: _starts_with(asked.uri, c),
    uris.Above: _above,
    words.AllWords: lambda asked, c: and_(*(c.text.contains(f" {word} ", autoescape=True) for word in asked.words)),
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
