"""The versions of resources: each write adds one, and nothing is ever changed or lost.

Spec: https://hl7.org/fhir/R4/http.html#versions
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from sqlalchemy import (Connection, Integer, Row, String, Text, and_, bindparam, case, false, insert, literal, select,
                        true, update)
from sqlalchemy.dialects import postgresql, sqlite

from ..errors import NotFound
from ..fhir import json
from ..fhir.instants import instant_text
from ..fhir.search_values import SearchValues
from . import changes, search_index
from .rows import rows
from .sets import within
from .tables import Instant, Serial, microseconds, resource as resource_table, version as version_table

Name = tuple[str, str]  # ("Patient", "1")


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
    """:func:`write_all` of one resource."""
    return write_all(tx, [resource], now=now, base_url=base_url, hops=hops)[0]


def write_all(tx: Connection, resources: Sequence[dict], *, now: datetime, base_url: str = "",
              hops: int = 0) -> list[Version]:
    """Store each resource as the next version of its id and record the changes, in the order given.

    Two who create one id at once get versions 1 and 2. A deleted resource comes back, as ``create``. The number of
    statements does not grow with the resources, for on PostgreSQL each is a round trip.

    :param resources: ``{"resourceType": "Observation", "id": str, …}``, checked, no two of one id; ``meta.versionId``
        and ``meta.lastUpdated`` are set here, the rest of ``meta`` stays
    :param base_url: references below it are this server's own
    :param hops: see :func:`fhirsub.store.changes.record_versions`
    :raises StorageError: nothing was stored
    """
    if not resources:
        return []
    written, values = {}, {}
    advanced = _advanced(tx, resources, _milliseconds(now))
    for resource in resources:
        type, id = resource["resourceType"], resource["id"]
        row = advanced[type, id]
        stamped = _stamped(resource, row)
        written[row.key] = Version(type, id, row.version_id, "create" if row.version_id == row.born else "update",
                                   row.last_updated, json.encode(stamped).decode(), base_url)
        values[row.key] = SearchValues(stamped, base_url)
    _append(tx, written, hops)
    search_index.put(tx, values, again=[key for key, version in written.items() if version.interaction == "update"])
    return list(written.values())


def delete(tx: Connection, type: str, id: str, *, now: datetime, hops: int = 0) -> Version:
    """:func:`delete_all` of one resource."""
    return delete_all(tx, [(type, id)], now=now, hops=hops)[0]


def delete_all(tx: Connection, names: Sequence[Name], *, now: datetime, hops: int = 0) -> list[Version]:
    """Add the versions that delete the resources and record the changes; no search finds them any more.

    :param names: ``[("Patient", "1"), …]``, no two alike
    :raises NotFound: one is not there, or is deleted already
    """
    if not names:
        return []
    deleted = {(type, row.id): row for type, ids in by_type(names).items()
               for row in tx.execute(_DELETE, {"of_type": type, "ids": ids, "at": _milliseconds(now)})}
    deleting = {}
    for type, id in names:
        if (row := deleted.get((type, id))) is None:
            raise NotFound(f"{type}/{id} does not exist")
        deleting[row.key] = Version(type, id, row.version_id, "delete", row.last_updated, None)
    _append(tx, deleting, hops)
    search_index.clear(tx, deleting)
    return list(deleting.values())


def by_type(names: Iterable[Name]) -> dict[str, list[str]]:
    """The ids of each resource type; both in one order, whatever the order of ``names``."""
    found = defaultdict(list)
    for type, id in sorted(names):
        found[type].append(id)
    return found


def _advanced(tx: Connection, resources: Sequence[dict], at: datetime) -> dict[Name, Row]:
    names = [(resource["resourceType"], resource["id"]) for resource in resources]
    advanced = tx.execute(_ADVANCE[tx.dialect.name], {"names": names, "at": at})
    return {(row.type, row.id): row for row in advanced}    # neither database says in which order they come back


def _stamped(resource: dict, row: Row) -> dict:
    meta = {"versionId": str(row.version_id), "lastUpdated": instant_text(row.last_updated)}
    meta = {**resource.get("meta", {}), **meta}
    return {"resourceType": "", "id": "", "meta": meta, **resource, "meta": meta}


def _milliseconds(moment: datetime) -> datetime:
    """What meta.lastUpdated can say; searching for what it says must find it."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _append(tx: Connection, written: Mapping[int, Version], hops: int) -> None:
    tx.execute(_APPEND, {"versions": [
        (key, new.version_id, new.type, new.id, new.interaction, microseconds(new.last_updated), new.content,
         new.base_url) for key, new in written.items()]})
    changes.record_versions(tx, written, hops=hops)


def _version(row: Row | None) -> Version | None:
    return None if row is None else Version(*row)


def _advance(insert):
    """The next version numbers of resources that may be there already: a second creator waits, then sees the first."""
    # SQLite reads ON CONFLICT after a bare FROM as the condition of a join: hence the WHERE.
    new = insert(resource_table).from_select(
        ["type", "id", "version_id", "last_updated", "deleted"],
        select(*rows("names", String, String), literal(1), bindparam("at", type_=Instant), false()).where(true()))
    held = resource_table.c
    later = case((held.last_updated > new.excluded.last_updated, held.last_updated), else_=new.excluded.last_updated)
    return new.on_conflict_do_update(index_elements=["type", "id"], set_={
        "version_id": held.version_id + 1, "last_updated": later, "deleted": new.excluded.deleted,
        "born": case((held.deleted, held.version_id + 1), else_=held.born),
    }).returning(held.key, held.type, held.id, held.version_id, held.born, held.last_updated)


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
_DELETE = (update(resource_table).where(_r.type == bindparam("of_type"), within(_r.id, "ids"), ~_r.deleted)
           .values(version_id=_r.version_id + 1, deleted=True,
                   last_updated=case((_r.last_updated > bindparam("at"), _r.last_updated), else_=bindparam("at")))
           .returning(_r.key, _r.id, _r.version_id, _r.last_updated))
_APPEND = insert(version_table).from_select(
    ["resource_key", "version_id", "type", "id", "interaction", "last_updated", "content", "base_url"],
    select(*rows("versions", Serial, Integer, String, String, String, Serial, Text, Text)))
