"""The versions of resources: each write adds one, and nothing is ever changed or lost.

Spec: https://hl7.org/fhir/R4/http.html#versions
"""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import Connection, Row, and_, bindparam, case, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import NotFound
from ..fhir import json
from ..fhir.instants import instant_text
from ..fhir.search_values import SearchValues
from . import changes, search_index
from .sets import within
from .tables import resource as resource_table, version as version_table


@dataclass(frozen=True)
class Version:
    """One version of one resource.

    :ivar interaction: ``create`` | ``update`` | ``delete``
    :ivar last_updated: aware UTC, in milliseconds
    :ivar content: the JSON text; None when this version deleted the resource
    :ivar base_url: of this server as the writer saw it; None where that was not asked for
    """

    type: str
    id: str
    version_id: int
    interaction: str
    last_updated: datetime
    content: str | None
    base_url: str | None = None

    @property
    def deleted(self) -> bool:
        return self.content is None

    @cached_property
    def resource(self) -> dict | None:
        """The content as a dict; belongs to nobody, so do not change it."""
        return None if self.content is None else json.decode(self.content)


def current(tx: Connection, type: str, id: str) -> Version | None:
    """The newest version, which may be one that deleted the resource; None if there never was one."""
    return _version(tx.execute(_CURRENT, {"type": type, "id": id}).first())


def current_of(tx: Connection, type: str, ids: Collection[str]) -> dict[str, Version]:
    """The newest versions of several resources of one type, by id; those that never were are left out."""
    return {row.id: Version(*row) for row in tx.execute(_CURRENT_OF, {"type": type, "ids": ids})}


def vread(tx: Connection, type: str, id: str, version_id: int) -> Version | None:
    """One version, old or new; None if there is no such."""
    return _version(tx.execute(_VREAD, {"type": type, "id": id, "version_id": version_id}).first())


def lock(tx: Connection, type: str, id: str) -> Version | None:
    """:func:`current`, which nobody else can replace before ``tx`` ends.

    A resource that never was cannot be locked: :func:`~fhirsub.store.database.claim` its name.
    """
    # The row first, then what it says: one statement with a join would wait and then show what was before the wait.
    if tx.dialect.name == "postgresql" and tx.execute(_LOCK, {"type": type, "id": id}).first() is None:
        return None
    return current(tx, type, id)


def write(tx: Connection, resource: dict, *, now: datetime, base_url: str = "", hops: int = 0) -> Version:
    """Store the resource as the next version of its id and record the change.

    Two who create one id at once get versions 1 and 2. A deleted resource comes back, as ``create``.

    :param resource: ``{"resourceType": "Observation", "id": str, …}``, checked; ``meta.versionId`` and
        ``meta.lastUpdated`` are set here, the rest of ``meta`` stays
    :param base_url: references below it are this server's own
    :param hops: see :func:`fhirsub.store.changes.record_version`
    :raises StorageError: nothing was stored
    """
    type, id = resource["resourceType"], resource["id"]
    row = tx.execute(_ADVANCE[tx.dialect.name], {
        "type": type, "id": id, "version_id": 1, "last_updated": _milliseconds(now), "deleted": False}).one()
    stamped = _stamped(resource, row)
    written = Version(type, id, row.version_id, "create" if row.version_id == row.born else "update",
                      row.last_updated, json.encode(stamped).decode(), base_url)
    _append(tx, row.key, written, hops)
    search_index.put(tx, row.key, SearchValues(stamped, base_url), again=written.interaction == "update")
    return written


def delete(tx: Connection, type: str, id: str, *, now: datetime, hops: int = 0) -> Version:
    """Add the version that deletes the resource and record the change; no search finds it any more.

    :raises NotFound: there is none, or it is deleted already
    """
    row = tx.execute(_DELETE, {"of_type": type, "of_id": id, "at": _milliseconds(now)}).first()
    if row is None:
        raise NotFound(f"{type}/{id} does not exist")
    deleting = Version(type, id, row.version_id, "delete", row.last_updated, None)
    _append(tx, row.key, deleting, hops)
    search_index.clear(tx, row.key)
    return deleting


def _stamped(resource: dict, row: Row) -> dict:
    meta = {"versionId": str(row.version_id), "lastUpdated": instant_text(row.last_updated)}
    meta = {**resource.get("meta", {}), **meta}
    return {"resourceType": "", "id": "", "meta": meta, **resource, "meta": meta}


def _milliseconds(moment: datetime) -> datetime:
    """What meta.lastUpdated can say; searching for what it says must find it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _append(tx: Connection, key: int, written: Version, hops: int) -> None:
    tx.execute(_APPEND, {
        "resource_key": key, "version_id": written.version_id, "type": written.type, "id": written.id,
        "interaction": written.interaction, "last_updated": written.last_updated, "content": written.content,
        "base_url": written.base_url})
    changes.record_version(tx, key, written.type, written.id, written.version_id, written.interaction,
                           now=written.last_updated, hops=hops)


def _version(row: Row | None) -> Version | None:
    return None if row is None else Version(*row)


def _advance(insert):
    """The next version number of a resource that may be there already: a second creator waits, then sees the first."""
    new = insert(resource_table)
    held = resource_table.c
    later = case((held.last_updated > new.excluded.last_updated, held.last_updated), else_=new.excluded.last_updated)
    return new.on_conflict_do_update(index_elements=["type", "id"], set_={
        "version_id": held.version_id + 1, "last_updated": later, "deleted": new.excluded.deleted,
        "born": case((held.deleted, held.version_id + 1), else_=held.born),
    }).returning(held.key, held.version_id, held.born, held.last_updated)


_ADVANCE = {"sqlite": _advance(sqlite.insert), "postgresql": _advance(postgresql.insert)}

_v, _r = version_table.c, resource_table.c
_COLUMNS = (_v.type, _v.id, _v.version_id, _v.interaction, _v.last_updated, _v.content, _v.base_url)
_NAMED = and_(_r.type == bindparam("type"), _r.id == bindparam("id"))
_OF = select(*_COLUMNS).join(resource_table, _v.resource_key == _r.key).where(_NAMED)
_CURRENT = _OF.where(_v.version_id == _r.version_id)
_CURRENT_OF = select(*_COLUMNS).join(resource_table, _v.resource_key == _r.key).where(
    _r.type == bindparam("type"), within(_r.id, "ids"), _v.version_id == _r.version_id)
_VREAD = _OF.where(_v.version_id == bindparam("version_id"))
_LOCK = select(_r.key).where(_NAMED).with_for_update()
_DELETE = (update(resource_table).where(_r.type == bindparam("of_type"), _r.id == bindparam("of_id"), ~_r.deleted)
           .values(version_id=_r.version_id + 1, deleted=True,
                   last_updated=case((_r.last_updated > bindparam("at"), _r.last_updated), else_=bindparam("at")))
           .returning(_r.key, _r.version_id, _r.last_updated))
_APPEND = insert(version_table)
