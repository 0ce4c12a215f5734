"""What a string parameter may ask: starts with, :exact, :contains.

Spec: https://hl7.org/fhir/R4/search.html#string
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..search_values.strings import fold
from ..values import String
from .clause import Clause
from .escapes import escape, unescape
from .tokens import comparable

_BEGINNINGS = (8, 4, 2, 1)    # characters; finer steps would make a resource look under more keys


class StartsWith(NamedTuple):
    folded: str

    def matches(self, value: String) -> bool:
        return value.folded.startswith(self.folded)

    def text(self) -> str:
        return escape(self.folded)

    def key(self) -> None:
        return None

    def beginning(self) -> str | None:
        return _beginning(self.folded)


class Contains(NamedTuple):
    folded: str

    def matches(self, value: String) -> bool:
        return self.folded in value.folded

    def text(self) -> str:
        return escape(self.folded)

    def key(self) -> None:
        return None

    def beginning(self) -> None:
        return None


class Exact(NamedTuple):
    exact: str

    def matches(self, value: String) -> bool:
        return value.exact == self.exact

    def text(self) -> str:
        return escape(self.exact)

    def key(self) -> None:
        return None

    def beginning(self) -> str | None:
        return _beginning(fold(self.exact))


def parse(text: str, clause: Clause) -> StartsWith | Contains | Exact:
    """One value of a string parameter.

    :raises ValueError: nothing in it that could be compared
    """
    plain = unescape(text)
    if clause.modifier == "exact":
        return Exact(plain)
    return Contains(comparable(plain)) if clause.modifier == "contains" else StartsWith(comparable(plain))


def probes(value: String) -> Iterator[str]:
    """The beginnings of every operand that this value could match."""
    yield from {value.folded[:length] for length in _BEGINNINGS if len(value.folded) >= length}


def _beginning(folded: str) -> str | None:
    """Of a text that values must begin with, as much as they are looked up by."""
    return next((folded[:length] for length in _BEGINNINGS if len(folded) >= length), None)
