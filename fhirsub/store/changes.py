"""The log of what was written, from which everything else follows: a change is pending until it is matched.

Never read by "seq > the last one seen": PostgreSQL numbers rows as they are inserted, and shows them as they are
committed.
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, bindparam, case, cast, insert, select, update

from ..fhir import json
from .hints import announce_ours
from .sets import within
from .tables import change, version


@dataclass(frozen=True)
class Change:
    """A resource was written.

    :ivar version_id: of this server's own resources "1", "2", …; a host application's may be any text
    :ivar interaction: ``create`` | ``update`` | ``delete``
    :ivar resource: as it was written; None for a delete, and where it was not asked for
    :ivar previous: the version before, if a host application says so
    :ivar base_url: references below it are this server's own; empty for a host application's change
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


def record(tx: Connection, written: Change, *, now: datetime) -> int:
    """Log a change with its content inside the transaction that writes the resource, whoever made ``tx``.

    In a transaction of :meth:`Database.write() <fhirsub.store.database.Database.write>` the hint goes out by itself;
    in any other, call :meth:`Hints.announce() <fhirsub.store.hints.Hints.announce>` too.

    :returns: seq; larger than that of every change that was committed before
    """
    return _insert(tx, {
        "type": written.type, "id": written.id, "version_id": written.version_id, "interaction": written.interaction,
        "recorded_at": now, "content": _text(written.resource), "previous": _text(written.previous)})


def record_version(tx: Connection, resource_key: int, type: str, id: str, version_id: int, interaction: str, *,
                   now: datetime) -> int:
    """Log a version of this server's own; its content stays where it is."""
    return _insert(tx, {"resource_key": resource_key, "type": type, "id": id, "version_id": str(version_id),
                        "interaction": interaction, "recorded_at": now})


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


def last(tx: Connection, type: str, id: str, *, version_id: str | None = None,
         before: int | None = None) -> Change | None:
    """The newest change of one resource, matched or not; None if there is none.

    It walks back through the log, so what is recent is found at once; for people who ask, not for every write.

    :param version_id: only the change that wrote this version
    :param before: only changes with a smaller seq
    """
    found = _WITH_CONTENT.where(change.c.type == type, change.c.id == id)
    if version_id is not None:
        found = found.where(change.c.version_id == version_id)
    if before is not None:
        found = found.where(change.c.seq < before)
    row = tx.execute(found.order_by(change.c.seq.desc()).limit(1)).first()
    return None if row is None else _change(row, row.content or row.stored)


def texts(tx: Connection, seqs: Collection[int]) -> dict[int, str | None]:
    """By seq the JSON text of the very version that was written, as it is stored; None for a delete."""
    return {row.seq: row.content or row.stored for row in tx.execute(_TEXTS, {"seqs": seqs})}


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
    return Change(row.type, row.id, row.version_id, row.interaction, _resource(content), _resource(row.previous),
                  row.seq, row.recorded_at, row.base_url or "")


def _text(resource: dict | None) -> str | None:
    return None if resource is None else json.encode(resource).decode()


def _resource(text: str | None) -> dict | None:
    return None if text is None else json.decode(text)


_INSERT = insert(change).returning(change.c.seq)

# A host application's version_id may be no number, and a join may look at every row: hence the CASE around the CAST.
_number = case((change.c.resource_key.is_not(None), cast(change.c.version_id, version.c.version_id.type)))
_OWN_VERSION = and_(version.c.resource_key == change.c.resource_key, version.c.version_id == _number)
_STORED = version.c.content.label("stored")
_WITH_CONTENT = select(change, version.c.base_url, _STORED).outerjoin(version, _OWN_VERSION)
_TEXTS = select(change.c.seq, change.c.content, _STORED).outerjoin(version, _OWN_VERSION).where(
    within(change.c.seq, "seqs"))
# The condition is that of the partial index, written as it is there: neither database proves that another implies it.
_PENDING = _WITH_CONTENT.where(~change.c.matched).order_by(change.c.seq).limit(bindparam("limit"))
_NEWEST = _WITH_CONTENT.order_by(change.c.seq.desc()).limit(bindparam("limit"))
_IS_PENDING = select(change.c.seq).where(~change.c.matched).limit(1)
_LOAD = _WITH_CONTENT.where(within(change.c.seq, "seqs"))
_MARK = update(change).where(within(change.c.seq, "seqs")).values(matched=True)
