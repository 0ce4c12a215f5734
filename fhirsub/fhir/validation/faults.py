"""What is wrong with a resource: a walk along its structure that names each element, what was found, what would do.

Spec: https://hl7.org/fhir/R4/json.html
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...errors import Issue
from ..definitions.structures import RESOURCE_TYPES, Element, codes, elements, properties
from .primitives import PRIMITIVES
from .words import expected_code, found, near, unknown


def faults(type_name: str, value: Any, path: str) -> Iterator[Issue]:
    """Yield what is wrong with an object of a resource type, datatype or backbone.

    Resources inside it (contained, Bundle entries) are only looked at as objects.

    :param path: FHIRPath of the object, ``Patient.name[0]``
    """
    if not isinstance(value, dict):
        yield _expected(path, _object_of(type_name), value)
    elif not value:
        yield Issue(f"{path}: the object is empty; leave the element out", "structure", path)
    else:
        yield from _known_properties(type_name, value, path)
        yield from _cardinality(type_name, value, path)


def _known_properties(type_name: str, value: dict, path: str) -> Iterator[Issue]:
    known = properties(type_name)
    for name, item in value.items():
        if name in known:
            element, kind = known[name]
            place = f"{path}.{element.name}"
            if element.repeats:
                yield from _array(element, kind, item, value.get(f"_{name}"), place)
            else:
                yield from _single(element, kind, item, place)
        elif name[:1] == "_" and _has_sibling(known.get(name[1:])):
            yield from _sibling(known[name[1:]].element, item, value.get(name[1:]), path)
        elif name != "resourceType" or type_name not in RESOURCE_TYPES:
            yield unknown(type_name, name, path)


def _has_sibling(known) -> bool:
    """Whether ``_name`` may stand beside ``name``: primitives may have an id and extensions."""
    return known is not None and known.type in PRIMITIVES and not known.element.attribute


def _single(element: Element, kind: str, item: Any, path: str) -> Iterator[Issue]:
    if isinstance(item, list):
        yield Issue(f"{path}: expected a single value; got {found(item)}", "structure", path)
    elif item is None:
        yield Issue(f"{path}: null stands for nothing here; leave the element out", "structure", path)
    else:
        yield from _one(element, kind, item, path)


def _array(element: Element, kind: str, items: Any, siblings: Any, path: str) -> Iterator[Issue]:
    if not isinstance(items, list) or not items:
        yield _not_an_array(items, path)
        return
    for index, item in enumerate(items):
        place = f"{path}[{index}]"
        if item is not None:
            yield from _one(element, kind, item, place)
        elif not _at(siblings, index):
            yield Issue(f"{place}: null may only stand where _{element.name} has an extension", "structure", place)


def _not_an_array(items: Any, path: str) -> Issue:
    if items == []:
        return Issue(f"{path}: the array is empty; leave the element out", "structure", path)
    return Issue(f"{path}: expected an array, as it may repeat; got {found(items)}", "structure", path)


def _at(items: Any, index: int) -> Any:
    return items[index] if isinstance(items, list) and index < len(items) else None


def _one(element: Element, kind: str, item: Any, path: str) -> Iterator[Issue]:
    """One value of an element, not null."""
    if kind == "Resource":
        if not isinstance(item, dict):
            yield _expected(path, "a resource", item)
    elif kind not in PRIMITIVES:
        yield from faults(kind, item, path)
    elif allowed := codes(element.value_set):
        if item not in allowed:
            yield expected_code(element.value_set, item, path)
    elif not PRIMITIVES[kind].fits(item):
        yield _expected(path, PRIMITIVES[kind].wanted, item)


def _sibling(element: Element, item: Any, values: Any, parent: str) -> Iterator[Issue]:
    """``_name``: the id and extensions of a primitive, or an array of them padded with null."""
    path = f"{parent}.{element.name}"
    if not element.repeats:
        yield from faults("Element", item, path)
        return
    if not isinstance(item, list) or not item:
        yield _not_an_array(item, path)
        return
    if isinstance(values, list) and len(values) != len(item):
        yield Issue(f"{path}: {element.name} and _{element.name} must be of one length, padded with null; "
                    f"got {len(values)} and {len(item)}", "structure", path)
    for index, one in enumerate(item):
        place = f"{path}[{index}]"
        if one is not None:
            yield from faults("Element", one, place)
        elif values is None:
            yield Issue(f"{place}: null may only stand where {element.name} has a value", "structure", place)


def _cardinality(type_name: str, value: dict, path: str) -> Iterator[Issue]:
    """What is missing, and ``value[x]`` given twice."""
    given: dict[str, list[str]] = {}
    for name, (element, _) in properties(type_name).items():
        if name in value or f"_{name}" in value:
            given.setdefault(element.name, []).append(name)
    for element in elements(type_name):
        names = given.get(element.name, ())
        place = f"{path}.{element.name}"
        if element.required and not names:
            yield Issue(f"{place}: this element is required; expected {_wanted(element)}", "required", place)
        elif len(names) > 1:
            yield Issue(f"{place}: only one of {', '.join(names)} may be given", "structure", place)


def _wanted(element: Element) -> str:
    if element.choice:
        return "one of " + near([element.name + kind[0].upper() + kind[1:] for kind in element.types])
    kind = element.types[0]
    if allowed := codes(element.value_set):
        wanted = "one of " + near(allowed)
    else:
        wanted = PRIMITIVES[kind].wanted if kind in PRIMITIVES else _object_of(kind)
    return f"an array of at least one: {wanted}" if element.repeats else wanted


def _object_of(type_name: str) -> str:
    return "an object" if "." in type_name or type_name == "Element" else f"an object ({type_name})"


def _expected(path: str, wanted: str, value: Any) -> Issue:
    code = "value" if isinstance(value, (str, int)) and not wanted.startswith("an object") else "structure"
    return Issue(f"{path}: expected {wanted}; got {found(value)}", code, path)
