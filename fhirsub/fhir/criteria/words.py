"""What ``_text`` and ``_content`` may ask: whole words, all of which must be there.

R4 leaves open how servers search texts. Here are no operators: comma is OR and repetition is AND, as everywhere.
Spec: https://hl7.org/fhir/R4/search.html#text, https://hl7.org/fhir/R4/search.html#content
"""
from __future__ import annotations

import re
from typing import NamedTuple

from ..search_values.words import split
from ..values import Words
from . import pieces
from .clause import Clause
from .escapes import unescape

MAX_WORDS = 20  # each is a condition of its own, and SQLite limits the depth of all together

_OPERATOR = re.compile(r'[()"*]|\b(?:AND|OR|NOT|NEAR)\b')


class AllWords(NamedTuple):
    """Every one of these, in any order."""

    words: tuple[str, ...]

    def matches(self, value: Words) -> bool:
        return all(f" {word} " in value.text for word in self.words)

    def text(self) -> str:
        return " ".join(self.words)

    def key(self) -> None:
        return None

    def piece(self) -> pieces.Piece:
        return pieces.word(self.words)


def parse(text: str, clause: Clause) -> AllWords:
    """One value: words, between which stands what is neither letter nor digit.

    :raises ValueError: no word in it, more than :data:`MAX_WORDS`, or an operator of other search engines
    """
    plain = unescape(text)
    if operator := _OPERATOR.search(plain):
        raise ValueError(f"{operator[0]!r} would be an operator, and there are none: write words alone, with a comma "
                         f"for OR, and {clause.parameter.code} once more for AND")
    words = tuple(sorted(split(plain)))
    if not words:
        raise ValueError(f"{plain!r} has no letter or digit to search for")
    if len(words) > MAX_WORDS:
        raise ValueError(f"expected at most {MAX_WORDS} different words, got {len(words)}")
    return AllWords(words)
