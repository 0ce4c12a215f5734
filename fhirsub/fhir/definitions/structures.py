"""Which elements each R4 4.0.1 type has: cardinality, types, required codes.

Spec: https://hl7.org/fhir/R4/elementdefinition.html; ``structures.json`` is made by ``generate_structures.py``.
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Element(NamedTuple):
    """One element of a type.

    :param name: as FHIRPath says it: ``value`` for ``value[x]``
    :param types: ``("Quantity", "string", …)``; a backbone is named by its path, ``Observation.component``
    :param value_set: last part of the URL of the value set that a code must be from, or ""
    :param attribute: an XML attribute (``id``, ``Extension.url``), which has no ``_id`` beside it
    :param summary: part of ``_summary=true``
    """

    name: str
    types: tuple[str, ...]
    required: bool
    repeats: bool
    choice: bool
    attribute: bool
    value_set: str
    summary: bool


class Property(NamedTuple):
    """A JSON property: the element it belongs to, and the type its name says (``valueQuantity`` says Quantity)."""

    element: Element
    type: str


_DATA = json.loads((Path(__file__).parent / "structures.json").read_text(encoding="utf-8"))

RESOURCE_TYPES = frozenset(name for name, row in _DATA["types"].items()
                           if row.get("kind") == "resource" and not row.get("abstract"))


@lru_cache(maxsize=None)
def elements(type_name: str) -> tuple[Element, ...]:
    """The elements of a resource type, datatype or backbone, inherited ones first.

    :raises KeyError: not an R4 type
    """
    row = _DATA["types"][type_name]
    inherited = elements(row["base"]) if row["base"] else ()
    return inherited + tuple(_element(name, text) for name, text in row["elements"].items())


def base(type_name: str) -> str:
    """The type that another specializes, ``DomainResource`` for ``Patient``; "" for a root, a primitive or no type."""
    return _DATA["types"].get(type_name, {}).get("base", "")


def _element(name: str, text: str) -> Element:
    """Read ``1..1 code:observation-status Σ``."""
    cardinality, types, *summary = text.split(" ")
    kind, _, value_set = types.lstrip("@").partition(":")
    return Element(name.removesuffix("[x]"), tuple(kind.split("|")), cardinality[0] != "0", cardinality[-1] == "*",
                   name.endswith("[x]"), types.startswith("@"), value_set, bool(summary))


@lru_cache(maxsize=None)
def properties(type_name: str) -> Mapping[str, Property]:
    """The JSON properties of a type by name, with ``value[x]`` spelled out; without their ``_`` siblings."""
    found = {}
    for element in elements(type_name):
        for kind in element.types:
            name = element.name + kind[0].upper() + kind[1:] if element.choice else element.name
            found[name] = Property(element, kind)
    return found


@lru_cache(maxsize=None)
def codes(value_set: str) -> tuple[str, ...]:
    """The codes that a required value set allows; empty if R4 does not list them (MIME types, currencies)."""
    return tuple(code for listed in code_systems(value_set).values() for code in listed)


def code_systems(value_set: str) -> Mapping[str, list[str]]:
    """The codes of a required value set by system, ``{"http://hl7.org/fhir/observation-status": ["final", …]}``."""
    return _DATA["codes"].get(value_set, {})
