"""The JSON Schema of each R4 resource type, made from the structures and compiled when first needed.

It knows the usual shape of JSON only: what it accepts is right; what it refuses is looked at again by
:mod:`fhirsub.fhir.validation.faults`, which also knows the rare shapes (nulls in arrays, extensions in place of a
required value) and can say what is wrong. So the schema stays small and quick, and its own messages are never shown.

Spec: https://hl7.org/fhir/R4/json.html
"""
from __future__ import annotations

from functools import lru_cache
from typing import Any

import jsonschema_rs

from ..definitions.structures import RESOURCE_TYPES, Element, codes, elements, properties
from .primitives import PRIMITIVES


@lru_cache(maxsize=None)
def validator(resource_type: str) -> jsonschema_rs.Draft4Validator:
    """The compiled schema of a resource type; ``is_valid`` takes the decoded resource.

    Draft 4, because there 1.0 is no integer, as in FHIR.
    """
    # The regex engine without look-around is linear in time, so no string can stall the server.
    return jsonschema_rs.Draft4Validator(schema(resource_type), pattern_options=jsonschema_rs.RegexOptions())


def schema(resource_type: str) -> dict[str, Any]:
    """The draft 4 schema of one resource type, with the datatypes that it reaches.

    Resources inside it (contained, Bundle entries) are only objects here; they are validated one by one.
    """
    definitions: dict[str, dict] = {}
    pending = [resource_type, "Element"]
    while pending:
        name = pending.pop()
        if name not in definitions:
            definitions[name] = _object(name)
            pending += [kind for element in elements(name) for kind in element.types
                        if kind not in PRIMITIVES and kind != "Resource"]
    return definitions.pop(resource_type) | {"definitions": definitions | _primitives()}


def _object(type_name: str) -> dict[str, Any]:
    known = {name: _property(element, kind) for name, (element, kind) in properties(type_name).items()}
    for element in elements(type_name):
        if not (element.choice or element.repeats or element.attribute) and element.types[0] in PRIMITIVES:
            known[f"_{element.name}"] = {"$ref": "#/definitions/Element"}
    required = [element.name for element in elements(type_name) if element.required and not element.choice]
    if type_name in RESOURCE_TYPES:
        known["resourceType"] = {"enum": [type_name]}
        required.append("resourceType")
    schema = {"type": "object", "properties": known, "additionalProperties": False, "minProperties": 1}
    if required:
        schema["required"] = required
    if choices := [_choice(type_name, element) for element in elements(type_name) if element.choice]:
        schema["allOf"] = choices
    return schema


def _property(element: Element, kind: str) -> dict[str, Any]:
    if kind == "Resource":
        one = {"type": "object"}
    elif element.value_set and codes(element.value_set):
        one = {"enum": list(codes(element.value_set))}
    else:
        one = {"$ref": f"#/definitions/{kind}"}
    return {"type": "array", "items": one, "minItems": 1} if element.repeats else one


def _choice(type_name: str, element: Element) -> dict[str, Any]:
    """Exactly one of the names of ``value[x]``, or none of them if it is optional."""
    names = [name for name, (owner, _) in properties(type_name).items() if owner is element]
    one_of = [{"required": [name]} for name in names]
    if not element.required:
        one_of.append({"not": {"anyOf": one_of[:]}})
    return {"oneOf": one_of}


def _primitives() -> dict[str, dict]:
    return {name: primitive.schema() for name, primitive in PRIMITIVES.items()}
