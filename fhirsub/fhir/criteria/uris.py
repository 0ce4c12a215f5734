"""What a uri parameter may ask: the whole URI, :below and :above.

Spec: https://hl7.org/fhir/R4/search.html#uri
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..values import Uri
from .clause import Clause
from .escapes import escape, unescape


class SameUri(NamedTuple):
    """Precisely this URI."""

    uri: str

    def matches(self, value: Uri) -> bool:
        return value.uri == self.uri

    def text(self) -> str:
        return escape(self.uri)

    def key(self) -> str:
        return self.uri


class Below(NamedTuple):
    """Every URI that begins with this one."""

    uri: str

    def matches(self, value: Uri) -> bool:
        return value.uri.startswith(self.uri)

    def text(self) -> str:
        return escape(self.uri)

    def key(self) -> None:
        return None


class Above(NamedTuple):
    """Every URI that this one begins with."""

    uri: str

    def matches(self, value: Uri) -> bool:
        return bool(value.uri) and self.uri.startswith(value.uri)

    def text(self) -> str:
        return escape(self.uri)

    def key(self) -> None:
        return None


def parse(text: str, clause: Clause) -> SameUri | Below | Above:
    """One value of a uri parameter.

    :raises ValueError: ``:above`` or ``:below`` of a URN, which has no parts
    """
    uri = unescape(text)
    if not clause.modifier:
        return SameUri(uri)
    if uri.lower().startswith("urn:"):
        raise ValueError(f":{clause.modifier} is for URLs only; a URN has no parts: ask for it without modifier")
    return Below(uri) if clause.modifier == "below" else Above(uri)


def probes(value: Uri) -> Iterator[str]:
    """The keys of every operand that this value could match."""
    yield value.uri
