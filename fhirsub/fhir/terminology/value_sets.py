"""The codes of a value set: its stored expansion where that is complete, else what ``compose`` says.

Spec: https://hl7.org/fhir/R4/valueset.html#expansion
"""
from __future__ import annotations

from collections.abc import Iterator

from ...errors import UnsupportedCriteria
from . import filters
from .concepts import Concepts
from .finding import Codes, Find, name, present

MAX_CODES = 10_000      # a search hands them all to the database
MAX_SYSTEMS = 100       # each is a condition of its own there, and SQLite takes them up to a depth of 1,000
MAX_IMPORTS = 100       # value sets that one is made of, deep or side by side

_INCOMPLETE = ("http://hl7.org/fhir/StructureDefinition/valueset-unclosed",
               "http://hl7.org/fhir/StructureDefinition/valueset-toocostly")


class Expander:
    """Expands value sets, each of those that they import once."""

    def __init__(self, find: Find):
        self._find = find
        self._known: dict[str, Codes] = {}
        self._open: list[str] = []
        self._concepts: dict[str, Concepts] = {}

    def codes(self, canonical: str) -> Codes:
        """The codes of the value set; see :func:`fhirsub.fhir.terminology.expand`."""
        if canonical in self._open:
            cycle = " → ".join([*self._open, canonical])
            raise UnsupportedCriteria(f"ValueSet {canonical}: it includes itself: {cycle}")
        if canonical not in self._known:
            if len(self._open) + len(self._known) >= MAX_IMPORTS:
                raise UnsupportedCriteria(f"ValueSet {self._open[0]}: it is made of more than {MAX_IMPORTS} value sets",
                                          code="too-costly")
            self._open.append(canonical)
            self._known[canonical] = self._expand(present("ValueSet", canonical, self._find))
            self._open.pop()
        return self._known[canonical]

    def _expand(self, value_set: dict) -> Codes:
        _refuse_modified(value_set, value_set)
        found = _expansion(value_set)
        if found is None:
            found = self._composed(value_set)
        if len(found) > MAX_CODES or len({system for system, _ in found}) > MAX_SYSTEMS:
            raise UnsupportedCriteria(f"{name(value_set)}: it has more than {MAX_CODES} codes, or codes of more than "
                                      f"{MAX_SYSTEMS} systems", code="too-costly")
        return found

    def _composed(self, value_set: dict) -> Codes:
        compose = value_set.get("compose")
        if compose is None:
            raise UnsupportedCriteria(f"{name(value_set)}: it has neither compose nor a complete expansion")
        for element in ("lockedDate", "inactive"):
            # An absent inactive leaves it to the server; true is what happens here.
            if compose.get(element) not in (None, True):
                raise UnsupportedCriteria(f"{name(value_set)}: ValueSet.compose.{element} cannot be evaluated here; "
                                          "store its expansion")
        _refuse_modified(compose, value_set)
        included = frozenset().union(*(self._part(part, value_set) for part in compose.get("include", ())))
        return included.difference(*(self._part(part, value_set) for part in compose.get("exclude", ())))

    def _part(self, part: dict, value_set: dict) -> Codes:
        """What one include or exclude says: of a system, and in each of the value sets named."""
        _refuse_modified(part, value_set)
        sets = [self.codes(canonical) for canonical in part.get("valueSet", ())]
        if "system" in part:
            sets.append(frozenset((part["system"], code) for code in self._of_system(part)))
        if not sets:
            raise UnsupportedCriteria(f"{name(value_set)}: an include or exclude without system and valueSet")
        return frozenset.intersection(*sets)

    def _of_system(self, part: dict) -> set[str]:
        if "concept" in part:
            return {concept["code"] for concept in part["concept"]}
        canonical = f"{part['system']}|{part['version']}" if "version" in part else part["system"]
        if canonical not in self._concepts:
            self._concepts[canonical] = Concepts(present("CodeSystem", canonical, self._find))
        concepts = self._concepts[canonical]
        return set(concepts.codes).intersection(
            *(filters.matching(filter, concepts) for filter in part.get("filter", ())))


def _expansion(value_set: dict) -> Codes | None:
    """The stored expansion; None if there is none, or only a part."""
    expansion = value_set.get("expansion")
    if expansion is None or expansion.get("offset") or _told_incomplete(expansion):
        return None
    entries = list(_entries(expansion.get("contains", ())))
    if expansion.get("total", len(entries)) > len(entries):
        return None
    coded = [entry for entry in entries if "code" in entry and not entry.get("abstract")]
    if not all("system" in entry for entry in coded):
        return None
    return frozenset((entry["system"], entry["code"]) for entry in coded)


def _told_incomplete(expansion: dict) -> bool:
    asked = {parameter.get("name") for parameter in expansion.get("parameter", ())}
    marked = any(extension.get("url") in _INCOMPLETE for extension in expansion.get("extension", ()))
    return marked or "filter" in asked or "count" in asked and "total" not in expansion


def _entries(contains: list[dict]) -> Iterator[dict]:
    waiting = list(contains)
    while waiting:
        entry = waiting.pop()
        yield entry
        waiting += entry.get("contains", ())


def _refuse_modified(element: dict, value_set: dict) -> None:
    if "modifierExtension" in element:
        raise UnsupportedCriteria(f"{name(value_set)}: it has a modifierExtension, which may change what it means")
