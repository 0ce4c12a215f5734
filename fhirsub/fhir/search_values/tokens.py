"""Tokens: codes, identifiers, contact points, booleans and strings that are compared as a whole.

Spec: https://hl7.org/fhir/R4/search.html#token
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from ..definitions.structures import code_systems
from ..values import Token

BOOLEAN_SYSTEM = "http://terminology.hl7.org/CodeSystem/special-values"
# A value set that takes every code of a system, so the definitions list none.
_OPEN_SYSTEMS = {"mimetypes": "urn:ietf:bcp:13"}


def convert(value: Any, kind: str, base_url: str = "") -> Iterable[Token]:
    """The tokens of one element; none for a type that has no code (a Quantity among the choices of ``value[x]``)."""
    return _KINDS[kind](value) if kind in _KINDS else _code(value, kind)


def _concept(concept: dict) -> list[Token]:
    found = [_coding(coding) for coding in concept.get("coding", ())]
    if "text" in concept:
        found.append(Token("", "", concept["text"]))
    return found


def _coding(coding: dict) -> Token:
    return Token(coding.get("system", ""), coding.get("code", ""), coding.get("display", ""))


def _identifier(identifier: dict) -> list[Token]:
    """One for each coding of its type, which ``:of-type`` asks for; ``:text`` asks for the text of the type."""
    system, value, kind = identifier.get("system", ""), identifier.get("value", ""), identifier.get("type")
    if not kind:
        return [Token(system, value)]
    return [Token(system, value, kind.get("text", ""), coding.get("system", ""), coding.get("code", ""))
            for coding in kind.get("coding") or ({},)]


def _contact_point(contact: dict) -> list[Token]:
    """Its ``system`` says phone or email and is no code system."""
    return [Token("", contact["value"])] if "value" in contact else []


def _boolean(value: bool) -> list[Token]:
    return [Token(BOOLEAN_SYSTEM, "true" if value else "false")]


def _plain(value: str) -> list[Token]:
    return [Token("", value)]


def _code(value: str, kind: str) -> list[Token]:
    """A bare code: its system is the one that the required binding implies (``code:observation-status``)."""
    base, _, value_set = kind.partition(":")
    return [Token(_systems(value_set).get(value) or _OPEN_SYSTEMS.get(value_set, ""), value)] if base == "code" else []


@lru_cache(maxsize=None)
def _systems(value_set: str) -> dict[str, str]:
    return {code: system for system, codes in code_systems(value_set).items() for code in codes}


_KINDS: dict[str, Callable[[Any], Iterable[Token]]] = {
    "CodeableConcept": _concept, "Coding": lambda coding: [_coding(coding)], "Identifier": _identifier,
    "ContactPoint": _contact_point, "boolean": _boolean, "string": _plain, "id": _plain, "uri": _plain}
TYPES = frozenset(("code", *_KINDS))
