"""The log of what was written, from which everything else follows: a change is pending until it is matched.

Never read by "seq > the last one seen": PostgreSQL numbers rows as they are inserted, and shows them as they are
committed.
"""
from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (Boolean, Connection, Integer, Row, Select, String, and_, bindparam, case, cast, func, insert,
                        select, update)

from ..fhir import json
from .hints import announce_ours
from .rows import rows
from .sets import within
from .tables import Serial, change, microseconds, version

if TYPE_CHECKING:
    from .versions import Version

WRITES = ("create", "update", "delete")
MAX_HOPS = 5  # servers that notify each other on purpose are fewer
SWITCHES = ("Subscription", "EventDefinition")  # their changes are always looked at: they switch something on or off

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """A resource was written, or an event raised.

    :ivar version_id: of this server's own resources "1", "2", …; a host application's may be any text
    :ivar interaction: ``create`` | ``update`` | ``delete``, or what is no write: ``read`` | ``raise`` | ``periodic``
    :ivar resource: as it was written; None for a delete, and where it was not asked for
    :ivar previous: the version before, if a host application says so; for this server's own ask :func:`previous`
    :ivar base_url: references below it are this server's own; empty for a host application's change
    :ivar topic_id: of the EventDefinition that was raised, or whose time has come; its streams alone are asked
    :ivar context: references that were raised with it
    """

    type: str
    id: str
    version_id: str
    interaction: str
    resource: dict | None = None
    previous: dict | None = None
    seq: int | None = None
    recorded_at: datetime | None = None
    base_url: str = ""
    topic_id: str | None = None
    context: tuple[str, ...] = ()


def record(tx: Connection, written: Change, *, now: datetime) -> int:
    """Log a change with its content inside the transaction that writes the resource, whoever made ``tx``.

    In a transaction of :meth:`Database.write() <fhirsub.store.database.Database.write>` the hint goes out by itself;
    in any other, call :meth:`Hints.announce() <fhirsub.store.hints.Hints.announce>` too.

    :returns: seq; larger than that of every change that was committed before
    """
    return _insert(tx, {
        "type": written.type, "id": written.id, "version_id": written.version_id, "interaction": written.interaction,
        "recorded_at": now, "content": _text(written.resource), "previous": _text(written.previous),
        "topic_id": written.topic_id, "context": _listed(written.context)})


def record_version(tx: Connection, resource_key: int, type: str, id: str, version_id: int, interaction: str, *,
                   now: datetime, topic_id: str | None = None, context: Collection[str] = ()) -> int:
    """Log what happened to a version of this server's own; its content stays where it is."""
    return _insert(tx, {"resource_key": resource_key, "type": type, "id": id, "version_id": str(version_id),
                        "interaction": interaction, "recorded_at": now, "topic_id": topic_id,
                        "context": _listed(context)})


def record_versions(tx: Connection, written: Mapping[int, Version], *, hops: int = 0) -> None:
    """Log new versions of this server's own, in their order; their content stays where it is.

    :param written: by the key of the resource; at least one
    :param hops: how many notifications led to them; after more than :data:`MAX_HOPS` they cause none: that is a loop
    """
    tx.execute(_INSERT_ALL, {"hops": hops or None, "changes": [
        (key, new.type, new.id, str(new.version_id), new.interaction, microseconds(new.last_updated),
         int(_looping(new.type, new.id, hops))) for key, new in written.items()]})
    announce_ours(tx, "change")


def pending(tx: Connection, limit: int) -> list[Change]:
    """The oldest changes that are not matched, in order of seq, each with the very version that was written.

    A version of one resource never comes before the one that it replaced.
    """
    return [_change(row, row.content or row.stored) for row in tx.execute(_PENDING, {"limit": limit})]


def is_pending(tx: Connection) -> bool:
    """Whether there is a change that is not matched."""
    return tx.execute(_IS_PENDING).first() is not None


def load(tx: Connection, seqs: Collection[int]) -> dict[int, Change]:
    """Changes by seq, matched or not, each with the very version of the resource that was written."""
    rows = tx.execute(_LOAD, {"seqs": seqs})
    return {row.seq: _change(row, row.content or row.stored) for row in rows}


def previous(tx: Connection, seqs: Collection[int]) -> dict[int, tuple[dict, str]]:
    """By seq the version that a change of this server's own replaced, with the base URL of its writer.

    What was not there before, or was deleted before, has none.
    """
    return {row.seq: (json.decode(row.content), row.base_url or "") for row in tx.execute(_PREVIOUS, {"seqs": seqs})}


def last(tx: Connection, type: str, id: str, *, version_id: str | None = None,
         before: int | None = None, interactions: Collection[str] = WRITES) -> Change | None:
    """The newest write of one resource, matched or not; None if there is none.

    It walks back through the log, so what is recent is found at once; for people who ask, not for every write.

    :param version_id: only the write of this version
    :param before: only writes with a smaller seq
    :param interactions: those that count as writes here
    """
    found = _WITH_CONTENT.where(change.c.type == type, change.c.id == id, change.c.interaction.in_(interactions))
    if version_id is not None:
        found = found.where(change.c.version_id == version_id)
    if before is not None:
        found = found.where(change.c.seq < before)
    row = tx.execute(found.order_by(change.c.seq.desc()).limit(1)).first()
    return None if row is None else _change(row, row.content or row.stored)


def texts(tx: Connection, seqs: Collection[int]) -> dict[int, str | None]:
    """By seq the JSON text of the very version that was written, as it is stored; None for a delete."""
    return {row.seq: row.content or row.stored for row in tx.execute(_TEXTS, {"seqs": seqs})}


def with_version(changes: Select) -> Select:
    """The same, with the version that each change wrote, if this server has it, so that :data:`TEXT` can be shown."""
    return changes.outerjoin(version, _OWN_VERSION)


def newest(tx: Connection, limit: int) -> list[Change]:
    """The last changes of any resource, matched or not, newest first."""
    return [_change(row, row.content or row.stored) for row in tx.execute(_NEWEST, {"limit": limit})]


def mark(tx: Connection, seqs: Collection[int]) -> None:
    """The changes are matched; they are pending no more."""
    tx.execute(_MARK, {"seqs": seqs})


def _insert(tx: Connection, row: dict[str, Any]) -> int:
    seq = tx.execute(_INSERT, row).scalar_one()
    announce_ours(tx, "change")
    return seq


def _change(row: Row, content: str | None) -> Change:
    return Change(row.type, row.id, row.version_id, row.interaction, _decoded(content), _decoded(row.previous),
                  row.seq, row.recorded_at, row.base_url or "", row.topic_id, tuple(_decoded(row.context) or ()))


def _looping(type: str, id: str, hops: int) -> bool:
    looping = hops > MAX_HOPS and type not in SWITCHES
    if looping:
        log.warning("%s/%s was written by way of %d notifications; it causes no more", type, id, hops)
    return looping


def _text(resource: dict | None) -> str | None:
    return None if resource is None else json.encode(resource).decode()


def _listed(references: Collection[str]) -> str | None:
    return json.encode(list(references)).decode() if references else None


def _decoded(text: str | None) -> Any:
    return None if text is None else json.decode(text)


_INSERT = insert(change).returning(change.c.seq)
_INSERT_ALL = insert(change).from_select(
    ["resource_key", "type", "id", "version_id", "interaction", "recorded_at", "matched", "hops"],
    select(*rows("changes", Serial, String, String, String, String, Serial, Boolean), bindparam("hops", type_=Integer)))

# A host application's version_id may be no number, and a join may look at every row: hence the CASE around the CAST.
_number = case((change.c.resource_key.is_not(None), cast(change.c.version_id, version.c.version_id.type)))
_OWN_VERSION = and_(version.c.resource_key == change.c.resource_key, version.c.version_id == _number)
_STORED = version.c.content.label("stored")
TEXT = func.coalesce(change.c.content, version.c.content)  # what :func:`texts` gives
_WITH_CONTENT = select(change, version.c.base_url, _STORED).outerjoin(version, _OWN_VERSION)
_TEXTS = select(change.c.seq, change.c.content, _STORED).outerjoin(version, _OWN_VERSION).where(
    within(change.c.seq, "seqs"))
_PREVIOUS = select(change.c.seq, version.c.content, version.c.base_url).join(
    version, and_(version.c.resource_key == change.c.resource_key, version.c.version_id == _number - 1)).where(
    within(change.c.seq, "seqs"), version.c.content.is_not(None))
# The condition is that of the partial index, written as it is there: neither database proves that another implies it.
_PENDING = _WITH_CONTENT.where(~change.c.matched).order_by(change.c.seq).limit(bindparam("limit"))
_NEWEST = _WITH_CONTENT.order_by(change.c.seq.desc()).limit(bindparam("limit"))
_IS_PENDING = select(change.c.seq).where(~change.c.matched).limit(1)
_LOAD = _WITH_CONTENT.where(within(change.c.seq, "seqs"))
_MARK = update(change).where(within(change.c.seq, "seqs")).values(matched=True)
