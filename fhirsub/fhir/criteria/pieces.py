"""Pieces of texts as access keys: what texts begin with or hold, filed and found by equality.

Spec: https://hl7.org/fhir/R4/search.html#string, https://hl7.org/fhir/R4/search.html#text
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..search_values.strings import fold
from ..values import String, Token, Words

BEGINS, WORD = "begins", "word"

_BEGINNINGS = (8, 4, 2, 1)      # characters; finer steps would make a resource look under more keys
_PARTS = {"part6": 6, "part3": 3}
MAX_PROBES = 2_000              # a page of text has fewer; more would cost a write more than a scan of some questions
_RARITY = {letter: rank for rank, letter in enumerate(" etaoinshrdlcumwfgypbvkjxqz")}  # in English; digits are rarer

KINDS = frozenset({BEGINS, WORD, *_PARTS})


class Piece(NamedTuple):
    """What a text must have somewhere for a match.

    :param kind: one of :data:`KINDS`
    """

    kind: str
    text: str

    def keys(self) -> Iterator[str]:
        """Where it is filed: a text that has it looks under one of these."""
        yield f"{self.kind} {self.text}"
        if self.kind != BEGINS:
            yield self.kind     # for resources with too many pieces to look under each


def beginning(folded: str) -> Piece | None:
    """Of a text that others must begin with, as much as they are looked up by."""
    return next((Piece(BEGINS, folded[:length]) for length in _BEGINNINGS if len(folded) >= length), None)


def part(folded: str) -> Piece | None:
    """Of a text that others must hold, the rarest-looking letters in a row; None if it is too short to be looked up."""
    kind = next((kind for kind, length in _PARTS.items() if len(folded) >= length), None)
    return Piece(kind, max(_parts(folded, _PARTS[kind]), key=_rarity)) if kind else None


def word(words: Iterable[str]) -> Piece:
    """Of words that a text must all have, the rarest-looking."""
    return Piece(WORD, max(words, key=_rarity))


def probes(found: tuple[String | Token | Words, ...], kind: str) -> set[str]:
    """The keys of every piece that these values could match.

    :param kind: one of :data:`KINDS`
    """
    if kind == WORD:
        pieces = {one for words in found for one in words.text.split()}
    else:
        texts = [value.folded if type(value) is String else fold(value.text) for value in found]
        pieces = {one for text in texts for one in _of(text, kind)}
    if kind != BEGINS and len(pieces) > MAX_PROBES:
        return {kind}
    return {f"{kind} {one}" for one in pieces}


def _of(text: str, kind: str) -> set[str]:
    if kind == BEGINS:
        return {text[:length] for length in _BEGINNINGS if len(text) >= length}
    return _parts(text, _PARTS[kind])


def _parts(text: str, length: int) -> set[str]:
    return {text[start:start + length] for start in range(len(text) - length + 1)}


def _rarity(piece: str) -> tuple[int, str]:
    """Something to compare: long pieces of rare letters are rare."""
    return sum(_RARITY.get(letter, len(_RARITY)) for letter in piece), piece
