"""What a string parameter may ask: starts with, :exact, :contains.

Spec: https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

from typing import NamedTuple

from ..search_values.strings import fold
from ..values import String
from . import pieces
from .clause import Clause
from .escapes import escape, unescape
from .tokens import comparable


class StartsWith(NamedTuple):
    folded: str

    def matches(self, value: String) -> bool:
        return value.folded.startswith(self.folded)

    def text(self) -> str:
        return escape(self.folded)

    def key(self) -> None:
        return None

    def piece(self) -> pieces.Piece | None:
        return pieces.beginning(self.folded)


class Contains(NamedTuple):
    folded: str

    def matches(self, value: String) -> bool:
        return self.folded in value.folded

    def text(self) -> str:
        return escape(self.folded)

    def key(self) -> None:
        return None

    def piece(self) -> pieces.Piece | None:
        return pieces.part(self.folded)


class Exact(NamedTuple):
    exact: str

    def matches(self, value: String) -> bool:
        return value.exact == self.exact

    def text(self) -> str:
        return escape(self.exact)

    def key(self) -> None:
        return None

    def piece(self) -> pieces.Piece | None:
        return pieces.beginning(fold(self.exact))


def parse(text: str, clause: Clause) -> StartsWith | Contains | Exact:
    """One value of a string parameter.

    :raises ValueError: nothing in it that could be compared
    """
    plain = unescape(text)
    if clause.modifier == "exact":
        return Exact(plain)
    return Contains(comparable(plain)) if clause.modifier == "contains" else StartsWith(comparable(plain))
