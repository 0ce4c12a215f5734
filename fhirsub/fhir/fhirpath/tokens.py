"""The words of FHIRPath, with the hints for those that other languages write.

Spec: https://hl7.org/fhirpath/N1/#tokens
"""
from __future__ import annotations

import re
from typing import NamedTuple

from ..instants import span


class Token(NamedTuple):
    """``kind``: name, quoted (a name between back quotes), number, string, temporal, variable, special, sign, end"""

    kind: str
    text: str
    at: int


_TOKEN = re.compile(r"""
    (?P<blank>\s+ | //[^\n]* | /\*.*?\*/)
  | (?P<wrong>== | && | \|\| | <> | " | !(?![=~]))
  | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
  | `(?P<quoted>[^`\\]+)`
  | (?P<number>\d+(?:\.\d+)?)
  | '(?P<string>(?:[^'\\]|\\.)*)'
  | (?P<temporal>@T?\d[0-9T:.+\-]*Z?|@\d{4}T)
  | %(?P<variable>[A-Za-z_][A-Za-z0-9_\-]*|`[^`\\]+`|'[^'\\]+')
  | \$(?P<special>this|index|total)\b
  | (?P<sign>!= | !~ | <= | >= | [=~<>+\-*/&|()\[\]{}.,])
    """, re.VERBOSE | re.DOTALL | re.ASCII)

_HINTS = {"==": "FHIRPath says =", "&&": "FHIRPath says and", "||": "FHIRPath says or", "<>": "FHIRPath says !=",
          '"': "FHIRPath puts strings between single quotes", "!": "FHIRPath says .not()"}
_ESCAPED = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"r": "\r", "n": "\n", "t": "\t", "f": "\f"}


def wrong(at: int, message: str) -> ValueError:
    return ValueError(f"position {at + 1}: {message}")


def tokens(text: str) -> list[Token]:
    """The words of ``text``, last one first, so that the next is popped; an ``end`` is at the bottom.

    :raises ValueError: what no word begins with, or what another language writes; tells the position
    """
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            hint = "a string that does not end" if text[at] in "'`" else f"{text[at]!r} means nothing in FHIRPath"
            raise wrong(at, hint)
        kind, word = match.lastgroup, match[match.lastgroup]
        if kind == "wrong":
            raise wrong(at, f"found {word}; {_HINTS[word]}")
        if kind == "temporal":
            _check_day(word, at)
        if kind != "blank":
            found.append(Token(kind, _ESCAPED.sub(_unescape, word) if kind == "string" else word.strip("`'")
                               if kind == "variable" else word, at))
        at = match.end()
    return [Token("end", "the end", len(text)), *reversed(found)]


def _check_day(word: str, at: int) -> None:
    """Refuse ``@2024-13-01``: compared with anything it would be empty, and nobody would be told."""
    try:
        if day := word[1:].partition("T")[0]:
            span(day)
    except ValueError as error:
        raise wrong(at, str(error)) from None


def _unescape(match: re.Match) -> str:
    code = match[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, code)
