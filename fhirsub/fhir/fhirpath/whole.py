"""The whole of FHIRPath, by fhirpathpy, for the :mod:`.child` alone.

Spec: https://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import FP_Quantity, FP_Type, ResourceNode
from fhirpathpy.engine.util import get_data
from fhirpathpy.models import models

from .corrections import correct

_RESOLVE: dict[str, Callable] = {}


def evaluate(text: str, current: dict | None, previous: dict | None, variables: dict, resolve: Callable) -> list[Any]:
    """The JSON values that an expression selects.

    :param resolve: ``resolve(value)`` is a list of resources
    :raises Exception: whatever the engine raises
    """
    current, previous = map(_node, (current, previous))
    resource = previous if current is None else current
    _RESOLVE["resolve"] = resolve
    found = _compiled(text)(resource, variables | {
        "current": current, "previous": previous, "resource": resource, "rootResource": resource, "context": resource})
    values = (_json(one) for one in found)
    return [value for value in values if value is not None]


@lru_cache(maxsize=256)     # of 500 parts, one takes 200 kB
def _compiled(text: str) -> Callable:
    return fhirpathpy.compile(text, models["r4"], {
        "returnRawData": True, "userInvocationTable": {"resolve": {"fn": _resolve, "arity": {0: []}}}})


def _resolve(values: list) -> list:
    return [_node(one) for value in values for one in _RESOLVE["resolve"](value)]


def _node(resource: dict | None) -> ResourceNode | None:
    """A resource that tells its type."""
    return None if resource is None else ResourceNode.create_node(resource, resource.get("resourceType"))


def _json(found: Any) -> Any:
    value = get_data(found)
    if isinstance(value, FP_Quantity):
        return {"value": value.value, "unit": value.unit.strip("'")}
    return str(value) if isinstance(value, FP_Type) else value


correct()
