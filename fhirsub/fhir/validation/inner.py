"""Where a resource can hold other resources: contained, Bundle entries, Parameters.

Spec: https://hl7.org/fhir/R4/resource.html
"""
from __future__ import annotations

from collections.abc import Iterator


def inner_resources(resource: dict, path: str, entries: bool = True) -> Iterator[tuple[str, dict]]:
    """Yield each resource directly inside a resource with its path, ``("Bundle.entry[0].resource", {…})``.

    Wrong shapes are passed over: the walk of the outer resource names them.

    :param entries: also those of Bundle entries
    """
    yield from _objects(resource, "contained", path)
    if resource["resourceType"] == "Bundle" and entries:
        for place, entry in _objects(resource, "entry", path):
            yield from _object(entry, "resource", place)
            for there, response in _object(entry, "response", place):
                yield from _object(response, "outcome", there)
    if resource["resourceType"] == "Parameters":
        yield from _parameters(resource, "parameter", path)


def _parameters(holder: dict, name: str, path: str) -> Iterator[tuple[str, dict]]:
    for place, parameter in _objects(holder, name, path):
        yield from _object(parameter, "resource", place)
        yield from _parameters(parameter, "part", place)


def _objects(holder: dict, name: str, path: str) -> Iterator[tuple[str, dict]]:
    items = holder.get(name)
    if isinstance(items, list):
        for index, item in enumerate(items):
            if isinstance(item, dict):
                yield f"{path}.{name}[{index}]", item


def _object(holder: dict, name: str, path: str) -> Iterator[tuple[str, dict]]:
    if isinstance(holder.get(name), dict):
        yield f"{path}.{name}", holder[name]
