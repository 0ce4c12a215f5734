"""What a client may write as a StructureDefinition: anything but those of this server's own extensions.

Spec: https://hl7.org/fhir/R4/structuredefinition.html
"""
from __future__ import annotations

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

    def admit(self, tx, resource, current, *, now, config, base_url=""):
        """The resource as it is.

        :raises Forbidden: it is in the place of one of the server's own
        """
        _keep(resource["id"])
        return resource

    def removed(self, tx, id, *, now):
        """:raises Forbidden: it is one of the server's own"""
        _keep(id)


def _keep(id):
    if id in _OURS:
        raise Forbidden(f"StructureDefinition/{id} is what this server itself says of its extension, and read-only")
