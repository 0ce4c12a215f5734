"""Where R4's structures put an element in JSON, and which type is kept there.

Spec: https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/fhirpath.html#types
"""
from __future__ import annotations

from functools import lru_cache

from ..definitions.structures import RESOURCE_TYPES, base, elements

ABSTRACT = ("Resource", "DomainResource")
TEMPORAL = frozenset(("date", "dateTime", "instant", "time"))
PRIMITIVES = {  # R4's, and what each specializes
    **dict.fromkeys(("base64Binary", "boolean", "decimal", "integer", "string", "uri", "xhtml", *TEMPORAL), "Element"),
    **dict.fromkeys(("canonical", "oid", "url", "uuid"), "uri"), **dict.fromkeys(("code", "id", "markdown"), "string"),
    **dict.fromkeys(("positiveInt", "unsignedInt"), "integer")}


@lru_cache(maxsize=16384)
def places(kind: str, name: str) -> tuple[tuple[str, str], ...]:
    """JSON keys and types of an element: ``value`` of an Observation is ``(("valueQuantity", "Quantity"), …)``.

    :returns: empty if the type has no such element, or is none
    """
    element = next((one for one in elements_of(kind) if one.name == name), None)
    if element is None:
        return ()
    if element.choice:
        return tuple((name + one[0].upper() + one[1:], one) for one in element.types)
    return ((name, element.types[0]),)


def elements_of(kind: str) -> tuple:
    """The elements of a type; none if it is primitive or no type."""
    try:
        return elements(kind)
    except KeyError:
        return ()


@lru_cache(maxsize=4096)
def specializes(kind: str, wanted: str) -> bool:
    """Whether a ``kind`` is a ``wanted``: an Age is a Quantity, an Encounter.location a BackboneElement."""
    while kind and kind != wanted:
        kind = PRIMITIVES[kind] if kind in PRIMITIVES else base(kind)
    return bool(kind)


def is_type(name: str) -> bool:
    return name in RESOURCE_TYPES or name in ABSTRACT or name in PRIMITIVES or bool(elements_of(name))
