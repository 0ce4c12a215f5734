"""The whole of FHIRPath, by fhirpathpy: for what :mod:`.plain` does not take.

Spec: https://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import fhirpathpy
from fhirpathpy.engine.nodes import FP_Type, ResourceNode
from fhirpathpy.engine.util import get_data
from fhirpathpy.models import models

from .conditions import reference_type

# The engine keeps now() in a module global, so two evaluations at once would see each other's clock.
_ONE_AT_A_TIME = threading.Lock()
_JSON_TYPES = {bool: "boolean", int: "integer", str: "string"}


def compile(expression: str, here: str) -> Callable[..., list[tuple[Any, str]]]:
    """As :func:`.plain.compile`; the type of a value is "" where the engine does not tell it.

    It finds nothing for ``Resource.id`` and other paths that begin with an abstract type.

    :param here: the type of the node at hand
    :raises ValueError: the engine cannot parse the expression, or cannot evaluate it on an empty resource
    """
    resource: dict = {}

    def resolve(nodes: list) -> list:
        found = [reference_type(get_data(node), resource) for node in nodes]
        return [ResourceNode.create_node({"resourceType": one}, one) for one in found if one]

    def extract(node, root=None):
        nonlocal resource
        with _ONE_AT_A_TIME:
            resource = root or node
            # A node that is no resource does not tell its type; a resource does, and "Patient.name" begins only at it.
            begin = node if "resourceType" in node else ResourceNode.create_node(node, here)
            found = evaluate(begin, {"resource": resource, "rootResource": resource})
        return [pair for pair in map(_typed, found) if pair[0] is not None]

    try:
        evaluate = fhirpathpy.compile(expression, models["r4"], {
            "returnRawData": True, "userInvocationTable": {"resolve": {"fn": resolve, "arity": {0: []}}}})
        # The parser lets through what it cannot evaluate: "status = ", nope().
        extract({"resourceType": here})
    except Exception as error:  # the engine raises no narrower class
        raise ValueError(f"{expression}: not FHIRPath that can be evaluated: {error}") from error
    return extract


def _typed(found: Any) -> tuple[Any, str]:
    value, kind = (found.data, found.path or "") if isinstance(found, ResourceNode) else (found, "")
    if isinstance(value, FP_Type):
        return str(value), kind
    return value, kind.removeprefix("System.") if kind else _JSON_TYPES.get(type(value), "")
