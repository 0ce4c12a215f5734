"""Resources that come with the server: written as its own versions, so that every read and search finds them."""
from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from . import versions
from .database import Database, claim
from .versions import Version


def ship(database: Database, resources: Iterable[dict], *, now: datetime) -> None:
    """Store each resource, unless its newest version says the same already.

    :param resources: ``{"resourceType": "StructureDefinition", "id": str, …}``, without ``meta``
    """
    with database.write() as tx:
        claim(tx, "shipped")    # two processes that start at once
        for resource in resources:
            stored = versions.current(tx, resource["resourceType"], resource["id"])
            if stored is None or _said(stored) != resource:
                versions.write(tx, resource, now=now)


def _said(stored: Version) -> dict:
    return {name: value for name, value in (stored.resource or {}).items() if name != "meta"}
