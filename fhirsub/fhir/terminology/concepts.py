"""The concepts of one CodeSystem and their hierarchy: nested, or told by the properties ``parent`` and ``child``.

Spec: https://hl7.org/fhir/R4/codesystem.html#hierarchy, https://hl7.org/fhir/R4/codesystem-concept-properties.html
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ...errors import UnsupportedCriteria
from .finding import name

_STANDARD = "http://hl7.org/fhir/concept-properties#"
_WITHOUT_DECLARATION = {"concept", "code", "display", "definition", "parent", "child"}


class Concepts:
    """A complete CodeSystem, by code.

    :ivar codes: each code with its concept
    :raises UnsupportedCriteria: not all of its codes are there
    """

    def __init__(self, code_system: dict):
        self.name = name(code_system)
        self._refuse_incomplete(code_system)
        self._meaning = code_system.get("hierarchyMeaning", "is-a")
        self._uris = {one["code"]: one.get("uri", "") for one in code_system.get("property", ())}
        self.codes: dict[str, dict] = {}
        self._parents: Mapping[str, set[str]] = defaultdict(set)
        self._children: Mapping[str, set[str]] = defaultdict(set)
        self._read(code_system.get("concept", ()))

    def below(self, code: str) -> set[str]:
        """The code and all that it subsumes."""
        return self._reached(code, self._children)

    def above(self, code: str) -> set[str]:
        """The code and all that subsume it."""
        return self._reached(code, self._parents)

    def values(self, code: str, property: str) -> set[str]:
        """What a concept says of a property, as text.

        :raises UnsupportedCriteria: the CodeSystem does not define the property
        """
        if property in ("concept", "code"):
            return {code}
        if property in ("parent", "child"):
            return (self._parents if property == "parent" else self._children).get(code, set())
        if property in ("display", "definition"):
            return {self.codes[code].get(property, "")} - {""}
        if property not in self._uris:
            known = ", ".join(sorted(_WITHOUT_DECLARATION | self._uris.keys()))
            raise UnsupportedCriteria(f"{self.name}: it defines no property {property!r}; it has {known}")
        return {_text(one) for one in self.codes[code].get("property", ()) if one["code"] == property}

    def _refuse_incomplete(self, code_system: dict) -> None:
        content = code_system.get("content")
        if content != "complete":
            raise UnsupportedCriteria(f"{self.name}: its content is {content!r}, and only of a complete one all codes "
                                      "are known; store it with all its concepts")
        if code_system.get("compositional") or "modifierExtension" in code_system:
            raise UnsupportedCriteria(f"{self.name}: it has a grammar or a modifierExtension, so its codes cannot be "
                                      "listed")

    def _read(self, concepts: list[dict]) -> None:
        """Without recursion: a hierarchy may be as deep as JSON can be."""
        waiting: list[tuple[str | None, dict]] = [(None, concept) for concept in concepts]
        while waiting:
            parent, concept = waiting.pop()
            code = concept["code"]
            self.codes[code] = concept
            if parent is not None:
                self._relate(parent, code)
            for one in concept.get("property", ()):
                self._relate_by(one, code)
            waiting += [(code, child) for child in concept.get("concept", ())]

    def _relate(self, parent: str, child: str) -> None:
        self._children[parent].add(child)
        self._parents[child].add(parent)

    def _relate_by(self, property: dict, code: str) -> None:
        uri = self._uris.get(property["code"])
        if uri == f"{_STANDARD}parent" or not uri and property["code"] == "parent":
            self._relate(_text(property), code)
        elif uri == f"{_STANDARD}child" or not uri and property["code"] == "child":
            self._relate(code, _text(property))

    def _reached(self, code: str, steps: Mapping[str, set[str]]) -> set[str]:
        if code not in self.codes:
            raise UnsupportedCriteria(f"{self.name}: it has no code {code!r}", code="code-invalid")
        if self._meaning != "is-a":
            raise UnsupportedCriteria(f"{self.name}: its hierarchyMeaning is {self._meaning!r}, and only is-a subsumes")
        found, waiting = {code}, [code]
        while waiting:
            further = steps.get(waiting.pop(), set()) - found
            found |= further
            waiting += further
        return found & self.codes.keys()


def _text(property: dict) -> str:
    """``valueCode``, ``valueBoolean``, … as a filter writes it."""
    value: Any = next((one for key, one in property.items() if key.startswith("value")), "")
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.get("code", "") if isinstance(value, dict) else str(value)
