"""Switches Subscriptions on, over to a new question, and off, at their own place in the log of changes.

So a write that came before a Subscription never notifies it, and the next one always does.
"""
from __future__ import annotations

from sqlalchemy import delete, insert, select, update

from ..fhir.criteria import parse
from ..fhir.instants import parse_instant
from ..store.tables import cursor, stream, subscription
from .streams import close_unused, open_stream

ON = ("active", "error")


def apply(tx, change):
    """Take one change of a Subscription into the engine's tables.

    :param change: :class:`~fhirsub.store.changes.Change` with its ``resource`` (None for a delete)
    """
    row = tx.execute(select(subscription).where(subscription.c.id == change.id)).first()
    if change.resource is not None and change.resource["status"] in ON:
        _on(tx, row, change.resource, change.base_url)
        if change.resource["status"] == "active":
            _retry_now(tx, change)
    elif row is not None and row.active:
        _off(tx, row)
    if change.resource is None and row is not None:
        tx.execute(delete(cursor).where(cursor.c.subscription_key == row.key))


def _on(tx, row, resource, base_url):
    state = {"active": True, "push": resource["channel"]["type"] != "websocket", "ends_at": _end(resource)}
    if row is None:
        key, numbered = tx.execute(insert(subscription).values(id=resource["id"], **state)
                                   .returning(subscription.c.key, subscription.c.numbered)).one()
        old = None
    else:
        key, numbered = row.key, row.numbered
        tx.execute(update(subscription).where(subscription.c.key == key).values(**state))
        old = _bound(tx, key)
    new = open_stream(tx, parse(resource["criteria"], base_url))
    if old is not None and old.stream_id == new.id:
        return
    if old is not None:
        numbered = _close(tx, key, old)
    tx.execute(insert(cursor).values(subscription_key=key, stream_id=new.id, base=new.head - numbered, accepted=new.head))


def _retry_now(tx, change):
    """Its owner asked for it again, or it works again: failed attempts are forgotten and what waits goes out at once."""
    tx.execute(update(subscription).where(
        subscription.c.id == change.id, subscription.c.attempts > 0, subscription.c.lease.is_(None))
        .values(attempts=0, due_at=change.recorded_at))


def _off(tx, row):
    tx.execute(update(subscription).where(subscription.c.key == row.key).values(active=False, ends_at=None))
    old = _bound(tx, row.key)
    if old is not None:
        _close(tx, row.key, old)
    tx.execute(update(cursor).where(cursor.c.subscription_key == row.key).values(parked=True))


def _bound(tx, subscription_key):
    """The cursor that still follows its stream, with the stream's ``head``; None if there is none."""
    return tx.execute(select(cursor, stream.c.head).join(stream, stream.c.id == cursor.c.stream_id).where(
        cursor.c.subscription_key == subscription_key, cursor.c.until.is_(None))).first()


def _close(tx, subscription_key, bound):
    """End a cursor at its stream's head; what it has not delivered yet stays to be delivered.

    :returns: the number of the subscription's newest event: the next cursor counts on from there
    """
    tx.execute(update(cursor).where(cursor.c.key == bound.key).values(until=bound.head))
    numbered = bound.head - bound.base
    tx.execute(update(subscription).where(subscription.c.key == subscription_key).values(numbered=numbered))
    close_unused(tx, [bound.stream_id])
    return numbered


def _end(resource):
    return parse_instant(resource["end"]) if "end" in resource else None
