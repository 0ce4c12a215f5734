"""What a client may write as a StructureDefinition: anything but those of this server's own extensions.

Spec: https://hl7.org/fhir/R4/structuredefinition.html
"""
from __future__ import annotations

from contextlib import contextmanager

from ..errors import Forbidden
from ..fhir.extension_definitions import DEFINITIONS

_OURS = frozenset(definition["id"] for definition in DEFINITIONS)


class ExtensionDoor:
    """The door of the resource type StructureDefinition."""

    def fill(self, resource):
        """The resource as it is."""
        return resource

    def check(self, resource, *, config, base_url=""):
        """Nothing: what is ours is known by its id, which the transaction tells."""

    @contextmanager
    def admitting(self, tx, ids, *, now, config, base_url=""):
        """``admit(resource, current)``: the resource as it is; refused in the place of one of the server's own."""
        yield _kept


def _kept(resource, current):
    id = (resource or current)["id"]
    if id in _OURS:
        raise Forbidden(f"StructureDefinition/{id} is what this server itself says of its extension, and read-only")
    return resource
