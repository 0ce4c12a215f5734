"""JSON Patch on a resource.

Spec: https://hl7.org/fhir/R4/http.html#patch, https://www.rfc-editor.org/rfc/rfc6902
"""
from __future__ import annotations

from copy import deepcopy
from typing import Any

from jsonpatch import InvalidJsonPatch, JsonPatch, JsonPatchConflict, JsonPatchTestFailed
from jsonpointer import JsonPointerException

from ..errors import BadRequest, TooLarge, Unprocessable
from . import json

MAX_OPERATIONS = 1000
_FIXED = ("resourceType", "id")


def apply(resource: dict, operations: Any, max_bytes: int = 5 * 1024 * 1024) -> dict:
    """A new resource with ``operations`` carried out in order: all of them, or none.

    :param operations: ``[{"op": "replace", "path": "/status", "value": "final"}, …]``
    :param max_bytes: how large the resource may become on the way
    :raises BadRequest: this is no JSON Patch; names the operation
    :raises TooLarge: it grew over ``max_bytes``
    :raises Unprocessable: an operation does not fit the resource, a ``test`` failed, or the identity would change
    """
    if not isinstance(operations, list):
        raise BadRequest("a JSON Patch is an array of operations, such as "
                         '[{"op": "replace", "path": "/status", "value": "final"}]')
    if len(operations) > MAX_OPERATIONS:
        raise BadRequest(f"this server applies up to {MAX_OPERATIONS} operations in one patch; got {len(operations)}",
                         code="too-costly")
    patched = deepcopy(resource)
    for position, operation in enumerate(operations):
        patched = _apply_one(patched, operation, position)
        if operation["op"] == "copy":   # a few dozen copies, each of all before it, would fill any memory
            _check_size(patched, max_bytes)
    if not isinstance(patched, dict) or any(patched.get(key) != resource.get(key) for key in _FIXED):
        raise Unprocessable("a patch may not change resourceType or id", code="business-rule")
    # Read again as if it had been sent: shared parts become separate, and the limit on nesting holds.
    return json.decode(_check_size(patched, max_bytes))


def _apply_one(resource: Any, operation: Any, position: int) -> Any:
    """Operations are applied one by one so that an error can say which one it was."""
    name = f"operation {position}"
    try:
        return JsonPatch([operation]).apply(resource, in_place=True)
    except InvalidJsonPatch as error:
        raise BadRequest(f"{name}: {error}; got {operation!r:.200}") from None
    except JsonPatchTestFailed:
        raise Unprocessable(f"{name}: test of {operation.get('path')!r} failed: the resource has another value there",
                            code="conflict") from None
    except (JsonPatchConflict, JsonPointerException, TypeError, KeyError, IndexError, RecursionError) as error:
        raise Unprocessable(f"{name}: {operation.get('op')} {operation.get('path')!r} does not fit the resource: "
                            f"{error}", code="processing") from None


def _check_size(resource: Any, max_bytes: int) -> bytes:
    try:
        data = json.encode(resource)
    except RecursionError:
        raise Unprocessable("the patched resource is nested too deeply", code="too-long") from None
    if len(data) > max_bytes:
        raise TooLarge(f"the patched resource is larger than {max_bytes} bytes")
    return data
