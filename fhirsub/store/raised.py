"""Changes that are no writes: a resource was read, an event raised, a time has come.

Spec: https://hl7.org/fhir/R4/triggerdefinition.html
"""
from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, bindparam, select

from . import changes
from .tables import resource, topic_key


def record(tx: Connection, type: str, id: str, interaction: str, *, now: datetime, version_id: int | None = None,
           topic_id: str | None = None, context: Collection[str] = ()) -> int | None:
    """Log what happened to a resource of this server's own.

    :param interaction: ``read`` | ``raise`` | ``periodic``
    :param version_id: which version; None: the current one
    :param topic_id: of the EventDefinition that was raised, or whose time has come
    :param context: references that were raised with it
    :returns: seq of the change; None if there is no such resource
    """
    held = tx.execute(_HELD, {"type": type, "id": id}).first()
    if held is None or held.deleted and version_id is None:
        return None
    return changes.record_version(tx, held.key, type, id, version_id or held.version_id, interaction, now=now,
                                  topic_id=topic_id, context=context)


def is_read_for(tx: Connection, type: str) -> bool:
    """Whether an EventDefinition that is switched on asks for reads of this resource type."""
    return tx.execute(_READS, {"of_type": f"{type} read", "of_any": "* read"}).first() is not None


_HELD = select(resource.c.key, resource.c.version_id, resource.c.deleted).where(
    resource.c.type == bindparam("type"), resource.c.id == bindparam("id"))
_READS = select(topic_key.c.key).where(topic_key.c.key.in_((bindparam("of_type"), bindparam("of_any")))).limit(1)
