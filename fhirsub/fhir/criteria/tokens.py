"""What a token parameter may ask: code, system|code, |code, system|, and the modifiers :text and :of-type; those of
terminology stand in :mod:`.code_sets`.

Case: R4 compares with case unless the code system says otherwise, and without case when in doubt. Here a value that a
system scopes is compared as written, one without a system (plain string, e-mail address, local identifier) is not,
and an id always is.

Spec: https://hl7.org/fhir/R4/search.html#token
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..search_values.strings import fold
from ..values import Token
from . import code_sets, pieces
from .clause import Clause
from .escapes import escape, split, unescape

# "The presence of the pipe symbol SHALL NOT be used" on these: they have no system.
_UNSCOPED = {"ContactPoint", "boolean", "uri"}


class Coded(NamedTuple):
    """``system`` is None for any, "" for a value without one; ``code`` is "" for any."""

    system: str | None
    code: str

    def matches(self, value: Token) -> bool:
        if self.system is not None and self.system != value.system:
            return False
        return not self.code or same_code(value, self.code)

    def text(self) -> str:
        if self.system is None:
            return escape(self.code)
        return f"{escape(self.system)}|{escape(self.code if self.system else self.code.lower())}"

    def key(self) -> str | None:
        if not self.code:
            return None
        return f"{self.system}|{self.code}" if self.system else self.code.lower()


class Id(NamedTuple):
    """``_id``: always as written."""

    id: str

    def matches(self, value: Token) -> bool:
        return value.code == self.id

    def text(self) -> str:
        return escape(self.id)

    def key(self) -> str:
        return self.id.lower()


class Display(NamedTuple):
    """``:text``: a string search on the text of a concept, the display of a coding, the type of an identifier."""

    folded: str

    def matches(self, value: Token) -> bool:
        return bool(value.text) and fold(value.text).startswith(self.folded)

    def text(self) -> str:
        return escape(self.folded)

    def key(self) -> None:
        return None

    def piece(self) -> pieces.Piece | None:
        return pieces.beginning(self.folded)


class OfType(NamedTuple):
    """``:of-type``: an identifier's value, with a coding of its type."""

    type_system: str
    type_code: str
    value: str

    def matches(self, value: Token) -> bool:
        typed = self.type_system == value.type_system and self.type_code == value.type_code
        return typed and same_code(value, self.value)

    def text(self) -> str:
        return "|".join(map(escape, self))

    def key(self) -> str:
        return self.value.lower()


def same_code(value: Token, code: str) -> bool:
    """Whether the value's code is ``code``: with case if the value has a system, without if it has none."""
    return value.code == code if value.system else value.code.lower() == code.lower()


def parse(text: str, clause: Clause) -> Coded | Id | Display | OfType | code_sets.CodeSet:
    """One value of a token parameter.

    :raises ValueError: not of the form that the modifier asks for
    """
    # A + that was not percent-encoded arrives as a blank, and no code or phone number begins with one.
    parts = ["+" + part[1:] if part.startswith(" ") else part for part in map(unescape, split(text, "|"))]
    if clause.modifier == "text":
        return Display(comparable(unescape(text)))
    if clause.modifier == "of-type":
        return _of_type(parts)
    if clause.modifier in code_sets.MODIFIERS:
        return code_sets.parse(parts, clause)
    if clause.parameter.code == "_id":
        return _id(parts)
    if len(parts) > 1 and _unscoped(clause):
        raise ValueError("values here have no system: write the code alone, without |")
    return coded(parts)


def coded(parts: list[str]) -> Coded:
    """``[code]`` or ``[system, code]`` as an operand.

    :raises ValueError: neither system nor code, or more parts
    """
    if len(parts) > 2:
        raise ValueError(r"expected code, system|code, |code or system|; a | inside a value is written \|")
    if not any(parts):
        raise ValueError("expected code, system|code, |code or system|; both are empty")
    return Coded(None, parts[0]) if len(parts) == 1 else Coded(*parts)


def comparable(text: str) -> str:
    """A text as strings are compared.

    :raises ValueError: nothing is left of it, so that it would match everything
    """
    folded = fold(text)
    if not folded:
        raise ValueError(f"{text!r} has no letter or digit to search for")
    return folded


def _unscoped(clause: Clause) -> bool:
    kinds = clause.element_types()
    return bool(kinds) and kinds <= _UNSCOPED


def _of_type(parts: list[str]) -> OfType:
    if len(parts) != 3 or not all(parts):
        raise ValueError("expected system|code|value, all three present")
    return OfType(*parts)


def _id(parts: list[str]) -> Id:
    if len(parts) > 1:
        raise ValueError("an id has no system: write the id alone, without |")
    return Id(parts[0])


def probes(value: Token) -> Iterator[str]:
    """The keys of every operand that this value could match."""
    if value.code:
        yield value.code.lower()
        if value.system:
            yield f"{value.system}|{value.code}"
