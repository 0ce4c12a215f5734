"""The versions of a resource, a type or everything, newest first, page by page.

Spec: https://hl7.org/fhir/R4/http.html#history
"""
from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Row, and_, exists, func, select, tuple_

from ..errors import BadRequest
from .tables import EPOCH, resource as resource_table, version as version_table
from .versions import Version

_v, _r = version_table.c, resource_table.c


def history(tx: Connection, type: str | None = None, id: str | None = None, *, since: datetime | None = None,
            at: tuple[datetime, datetime] | None = None, count: int,
            before: str | None = None) -> tuple[list[Version], int, str | None]:
    """One page of what was written, deletes included.

    Versions written while somebody pages do not move the pages that follow.

    :param type: only of this resource type; None: of every type
    :param id: only of this resource
    :param since: only versions written then or later
    :param at: ``(low, high)``, half open: only versions that were current at some time in between
    :param count: most versions in the page; 0 asks for the total alone
    :param before: the cursor that the page before gave
    :returns: the page, how many versions there are on all pages, and the cursor of the next page or None
    :raises BadRequest: the cursor is none of ours
    """
    conditions = [*_scope(type, id), *_time(since, at)]
    total = tx.execute(select(func.count()).select_from(version_table).where(*conditions)).scalar_one()
    if count == 0:
        return [], total, None
    if before:
        conditions.append(_ORDER < _position(before))
    page = select(version_table).where(*conditions).order_by(*(column.desc() for column in _ORDER_COLUMNS))
    found = tx.execute(page.limit(count + 1)).all()
    return [_version(row) for row in found[:count]], total, _cursor(found[count - 1]) if len(found) > count else None


# Versions of one resource never go back in time, so this is also the order of their numbers.
_ORDER_COLUMNS = (_v.last_updated, _v.resource_key, _v.version_id)
_ORDER = tuple_(*_ORDER_COLUMNS)


def _scope(type: str | None, id: str | None) -> list[ColumnElement[bool]]:
    if id is not None:
        return [_v.resource_key.in_(select(_r.key).where(_r.type == type, _r.id == id))]
    return [] if type is None else [_v.type == type]


def _time(since: datetime | None, at: tuple[datetime, datetime] | None) -> list[ColumnElement[bool]]:
    conditions = []
    if since is not None:
        conditions.append(_v.last_updated >= since)
    if at is not None:
        low, high = at
        after = version_table.alias("after").c
        replaced = exists().where(after.resource_key == _v.resource_key, after.version_id == _v.version_id + 1,
                                  after.last_updated <= low)
        conditions.append(and_(_v.last_updated < high, ~replaced))
    return conditions


def _version(row: Row) -> Version:
    return Version(row.type, row.id, row.version_id, row.interaction, row.last_updated, row.content)


def _cursor(row: Row) -> str:
    return f"{(row.last_updated - EPOCH) // timedelta(microseconds=1)}-{row.resource_key}-{row.version_id}"


def _position(cursor: str) -> tuple[datetime, int, int]:
    try:
        microseconds, key, number = map(int, cursor.split("-"))
        return EPOCH + timedelta(microseconds=microseconds), key, number
    except (ValueError, OverflowError):
        raise BadRequest(f"the page {cursor!r} is none of this server's: take the link of the page before") from None
