"""The call by which a host application with a store of its own takes part: ``fhirsub.record(change, connection=…)``."""
from __future__ import annotations

from dataclasses import replace

from .errors import Unprocessable
from .matching import read
from .store import changes

INTERACTIONS = ("create", "update", "delete")
# The server acts on these itself; a change of one that passed no door would be a Subscription nobody checked.
OURS = ("Subscription", "EventDefinition")


def record(database, change, *, connection, now):
    """Insert the change on ``connection``; see :meth:`fhirsub.extension.FHIRSub.record`."""
    resource, previous = (one and read(one) for one in (change.resource, change.previous))
    change = replace(change, resource=resource, previous=previous)
    _check(change)
    seq = changes.record(connection, change, now=now)
    database.hints.announce(connection, "change")
    return seq


def _check(change):
    if change.interaction not in INTERACTIONS:
        raise Unprocessable(f"Change.interaction: expected {' | '.join(INTERACTIONS)}; got {change.interaction!r}")
    if change.type in OURS:
        raise Unprocessable(f"Change.type: a {change.type} is written through the REST API, which checks it")
    if change.resource is None and change.interaction != "delete":
        raise Unprocessable(f"Change.resource: a {change.interaction} needs the resource as it was written")
    for name, resource in (("resource", change.resource), ("previous", change.previous)):
        if resource is not None and (resource.get("resourceType"), resource.get("id")) != (change.type, change.id):
            raise Unprocessable(f"Change.{name}: expected {change.type}/{change.id}; "
                                f"got {resource.get('resourceType')}/{resource.get('id')}")
