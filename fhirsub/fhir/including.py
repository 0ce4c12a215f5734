"""Rules of ``_include`` and ``_revinclude``: which resources come along with those that match.

Spec: https://hl7.org/fhir/R4/search.html#include
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache

from ..errors import UnsupportedCriteria
from .definitions.parameters import search_parameters
from .definitions.structures import RESOURCE_TYPES


@dataclass(frozen=True, slots=True)
class Rule:
    """``Observation:subject:Patient``, followed from the Observation (``_include``) or to it (``_revinclude``).

    :param sources: the types that refer
    :param code: the reference parameter, ``*`` for each that the type has
    :param target: the type referred to, "" for any
    :param iterate: followed from included resources too, not only from those that match
    """

    name: str
    sources: frozenset[str]
    code: str
    target: str
    iterate: bool

    @property
    def reverse(self) -> bool:
        return self.name == "_revinclude"

    def codes(self, source: str) -> list[str]:
        """The parameters of ``source`` that the rule follows."""
        return [code for code in references(source) if self.targets(source, code)]

    def targets(self, source: str, code: str) -> frozenset[str]:
        """The types to which the rule follows ``code`` of a ``source``."""
        if source not in self.sources or self.code not in ("*", code):
            return frozenset()
        known = references(source)[code]
        return known & {self.target} if self.target else known


@lru_cache(maxsize=None)
def references(resource_type: str) -> dict[str, frozenset[str]]:
    """The reference parameters of a type, each with the types it may lead to: ``{"subject": {"Patient", …}, …}``."""
    return {code: frozenset(parameter.targets) or RESOURCE_TYPES
            for code, parameter in search_parameters(resource_type).items() if parameter.type == "reference"}


def includes(resource_type: str) -> list[str]:
    """What ``_include`` takes in a search for ``resource_type``: ``["*", "Observation:based-on", …]``."""
    return ["*", *(f"{resource_type}:{code}" for code in sorted(references(resource_type)))]


def reverse_includes(resource_type: str, sources: Collection[str]) -> list[str]:
    """What ``_revinclude`` takes in a search for ``resource_type``: ``["*", "Observation:patient", …]``."""
    return ["*", *(f"{source}:{code}" for source in sorted(sources)
                   for code, targets in sorted(references(source).items()) if resource_type in targets)]


def parse(name: str, value: str, searched: Collection[str]) -> Rule:
    """The rule of one parameter, ``_include=Observation:subject`` or ``_revinclude:iterate=Provenance:target:Patient``.

    :param searched: the types that are searched for
    :raises UnsupportedCriteria: there is no such type or parameter, or it can include nothing; names what would do
    """
    code, _, modifier = name.partition(":")
    if modifier not in ("", "iterate"):
        raise UnsupportedCriteria(f"{name}: the only modifier is :iterate, which follows included resources too")
    rule = _everything(code, searched, modifier) if value == "*" else _read(code, value, modifier)
    _check_start(rule, value, searched)
    return rule


def _everything(name: str, searched: Collection[str], modifier: str) -> Rule:
    forward = name == "_include" and not modifier
    return Rule(name, frozenset(searched) if forward else RESOURCE_TYPES, "*", "", bool(modifier))


def _read(name: str, value: str, modifier: str) -> Rule:
    source, code, target = (value.split(":") + ["", ""])[:3]
    if value.count(":") not in (1, 2) or not code or value.endswith(":"):
        raise UnsupportedCriteria(f"{name}={value}: expected Type:parameter or Type:parameter:Target, e.g. "
                                  "Observation:subject:Patient; * follows every parameter", code="value")
    for kind in (source, target) if target else (source,):
        if kind not in RESOURCE_TYPES:
            raise UnsupportedCriteria(f"{name}={value}: {kind!r} is no resource type"
                                      f"{_suggestion(kind, RESOURCE_TYPES)}")
    rule = Rule(name, frozenset((source,)), code, target, bool(modifier))
    known = references(source)
    if code != "*" and code not in known:
        raise UnsupportedCriteria(f"{name}={value}: {code!r} is no reference parameter of {source}; "
                                  f"it has {', '.join(known) or 'none'}")
    if not rule.codes(source):
        raise UnsupportedCriteria(f"{name}={value}: {source}:{code} cannot lead to {target}")
    return rule


def _check_start(rule: Rule, value: str, searched: Collection[str]) -> None:
    """Refuse a rule that can include nothing, for its author expects something of it."""
    if rule.iterate:
        return
    starts = _targets(rule) if rule.reverse else rule.sources
    if not starts & set(searched):
        there = "it leads to" if rule.reverse else "it starts at"
        raise UnsupportedCriteria(f"{rule.name}={value}: {there} {_few(starts)}, and the search is for "
                                  f"{_few(searched)}; to follow included resources, use {rule.name}:iterate")


def _targets(rule: Rule) -> frozenset[str]:
    if rule.target or rule.code == "*":
        return frozenset((rule.target,)) if rule.target else RESOURCE_TYPES
    return frozenset().union(*(references(source)[rule.code] for source in rule.sources))


def _few(types: Collection[str]) -> str:
    return ", ".join(sorted(types)) if len(types) < 10 else f"{len(types)} types"


def _suggestion(found: str, known: Collection[str]) -> str:
    close = get_close_matches(found[:80], sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
