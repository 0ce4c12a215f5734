"""What a reference parameter may ask: an id, Type/id, a URL, a canonical with or without version, an identifier.

Spec: https://hl7.org/fhir/R4/search.html#reference
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from ..definitions.structures import RESOURCE_TYPES
from ..values import Reference, Token
from . import tokens
from .clause import Clause
from .escapes import escape, split, unescape

_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RELATIVE = re.compile(r"([A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/([A-Za-z0-9\-.]{1,64}))?")
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_VERSIONED = re.compile(r"(.+/[A-Za-z]+/[A-Za-z0-9\-.]{1,64})/_history/([A-Za-z0-9\-.]{1,64})")


class ById(NamedTuple):
    """``subject=23``: a resource of this server with that id, of any type that the parameter may lead to."""

    id: str
    types: tuple[str, ...]

    def matches(self, value: Reference) -> bool:
        kind, _, id = value.target.partition("/")
        return id == self.id and kind in self.types

    def text(self) -> str:
        return self.id

    def key(self) -> str:
        return self.id


class To(NamedTuple):
    """``Patient/23`` or an absolute URL or canonical; ``version`` is "" for any."""

    target: str
    version: str

    def matches(self, value: Reference) -> bool:
        return value.target == self.target and self.version in ("", value.version)

    def text(self) -> str:
        return versioned(self)

    def key(self) -> str:
        return self.target


class VersionBelow(NamedTuple):
    """``:below`` on a canonical: any version of it, or those that ``version`` begins."""

    target: str
    version: str

    def matches(self, value: Reference) -> bool:
        return value.target == self.target and (not self.version or f"{value.version}.".startswith(f"{self.version}."))

    def text(self) -> str:
        return versioned(self)

    def key(self) -> str:
        return self.target


class ByIdentifier(NamedTuple):
    """``:identifier``: a token search on Reference.identifier."""

    token: tokens.Coded

    def matches(self, value: Reference) -> bool:
        found = Token(value.identifier_system, value.identifier_value)
        return any(found) and self.token.matches(found)

    def text(self) -> str:
        return self.token.text()

    def key(self) -> str | None:
        key = self.token.key()
        return key and f":identifier={key}"


def parse(text: str, clause: Clause) -> ById | To | VersionBelow | ByIdentifier:
    """One value of a reference parameter.

    :raises ValueError: no reference, or to a type that the parameter cannot lead to
    """
    parts = [unescape(part) for part in split(text, "|")]
    if clause.modifier == "identifier":
        return ByIdentifier(tokens.coded(parts))
    if len(parts) > 2 or not parts[0] or (len(parts) == 2 and not parts[1]):
        raise ValueError("expected id, Type/id, URL or canonical|version")
    target, version = parts[0].removeprefix(clause.base_url + "/") if clause.base_url else parts[0], "".join(parts[1:])
    if clause.modifier == "below":
        return _below(target, version)
    if _ID.fullmatch(target) and not version:
        return _by_id(target, clause)
    if _ABSOLUTE.fullmatch(target):
        return _absolute(target, version, clause)
    return _relative(target, version, clause)


def versioned(operand: To | VersionBelow) -> str:
    """``target`` or ``target|version``, which is read for versions of both kinds."""
    return escape(operand.target) + (f"|{escape(operand.version)}" if operand.version else "")


def _by_id(id, clause):
    kinds = (clause.modifier,) if clause.modifier else clause.parameter.targets or tuple(sorted(RESOURCE_TYPES))
    # Where only one type is possible, 23 and Patient/23 are the same question.
    return To(f"{kinds[0]}/{id}", "") if len(kinds) == 1 else ById(id, kinds)


def _relative(text, version, clause):
    found = _RELATIVE.fullmatch(text)
    if not (found and found[1] in RESOURCE_TYPES) and "/" in text and clause.element_types() == {"canonical"}:
        return To(text, version)  # a canonical URL below our base need not be Type/id
    if not found:
        raise ValueError(f"expected id, Type/id, URL or canonical|version, got {text!r}")
    kind, id, instance_version = found.groups()
    _check_type(kind, clause)
    return To(f"{kind}/{id}", instance_version or version)


def _absolute(url, version, clause):
    found = _VERSIONED.fullmatch(url)
    if found and not version:
        url, version = found.groups()
    if clause.modifier:
        kind = url.split("/")[-2:-1]
        if kind != [clause.modifier]:
            raise ValueError(f":{clause.modifier} does not fit {url!r}, which does not say that it is one")
    return To(url, version)


def _below(url, version):
    if not _ABSOLUTE.fullmatch(url) and "/" not in url:
        raise ValueError(":below is for canonical URLs here, e.g. http://acme.com/some-profile|1")
    return VersionBelow(url, version)


def _check_type(kind, clause):
    possible = (clause.modifier,) if clause.modifier else clause.parameter.targets or RESOURCE_TYPES
    if kind not in possible:
        known = ", ".join(sorted(possible)) if len(possible) < 10 else "a resource type of R4"
        raise ValueError(f"cannot lead to {kind!r}; expected {known}")


def probes(value: Reference) -> Iterator[str]:
    """The keys of every operand that this value could match."""
    if value.target:
        yield value.target
        kind, _, id = value.target.partition("/")
        if kind in RESOURCE_TYPES:
            yield id
    for key in tokens.probes(Token(value.identifier_system, value.identifier_value)):
        yield f":identifier={key}"
