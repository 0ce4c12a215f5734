"""Switches Subscriptions on, over to a new question, and off, at their own place in the log of changes.

So a write that came before a Subscription never notifies it, and the next one always does.
"""
from __future__ import annotations

import logging

from sqlalchemy import case, delete, insert, literal, select, update

from ..errors import FHIRSubError
from ..fhir.instants import parse_instant
from ..fhir.topics import of_subscription
from ..store.tables import cursor, stream, subscription
from . import registry
from .status import UNUSABLE, set_status, unusable
from .streams import IDLE, close_unused, open_stream

log = logging.getLogger(__name__)

ON = ("active", "error")


def apply(tx, change, find, *, now):
    """Take one change of a Subscription into the engine's tables.

    :param change: :class:`~fhirsub.store.changes.Change` with its ``resource`` (None for a delete)
    :param find: ``find(reference)`` is the :class:`~fhirsub.fhir.topics.Topic` at this place in the log, or None
    """
    row = _row(tx, change.id)
    if is_on(change):
        _try_on(tx, change, find, now)
        if change.resource["status"] == "active":
            _retry_now(tx, change)
    else:
        registry.use(tx, f"Subscription/{change.id}", ())
        if row is not None and row.active:
            _off(tx, row, now)
    if change.resource is None and row is not None:
        tx.execute(delete(cursor).where(cursor.c.subscription_key == row.key))


def renew(tx, change, find, *, now):
    """Ask again what a Subscription asks that is on, for an EventDefinition that it uses has changed.

    :param change: the newest of the Subscription that was met in the log
    """
    _try_on(tx, change, find, now)


def is_on(change):
    """Whether the Subscription is to be on from this change on."""
    return change.resource is not None and change.resource["status"] in ON


def state(resource):
    """What the engine's row of a Subscription that is on takes from the resource."""
    return {"active": True, "push": resource["channel"]["type"] != "websocket", "ends_at": _end(resource)}


def _row(tx, id):
    return tx.execute(select(subscription).where(subscription.c.id == id)).first()


def _try_on(tx, change, find, now):
    """Switch on; if that cannot be, nothing is matched until it can, and the owner is told."""
    named = set()

    def noting(reference):
        named.add(reference)
        return find(reference)

    try:
        with tx.begin_nested():
            _on(tx, _row(tx, change.id), change, noting, now)
    except FHIRSubError as error:
        log.error("Subscription/%s cannot be switched on; its error says why", change.id)  # criteria name patients
        _suspend(tx, change.id, now)
        set_status(tx, change.id, "error", f"{UNUSABLE}{error}", now=now)
    else:
        if unusable(change.resource):
            set_status(tx, change.id, "active", now=now)
    registry.use(tx, f"Subscription/{change.id}", named)


def _suspend(tx, id, now):
    row = _row(tx, id)
    bound = row and _bound(tx, row.key)
    if bound is not None:
        tx.execute(update(subscription).where(subscription.c.key == row.key).values(stream_id=None))
        _close(tx, row.key, bound, now)


def _on(tx, row, change, find, now):
    resource = change.resource
    new = open_stream(tx, of_subscription(resource, change.base_url, find), find)
    row_state = state(resource) | {"stream_id": new.id}
    if row is None:
        key, numbered = tx.execute(insert(subscription).values(id=resource["id"], **row_state)
                                   .returning(subscription.c.key, subscription.c.numbered)).one()
        old = None
    else:
        key, numbered = row.key, row.numbered
        if row_state["push"] and not row.push and row.lease is None:
            row_state["due_at"] = change.recorded_at  # what its sockets have not been told of
        tx.execute(update(subscription).where(subscription.c.key == key).values(**row_state))
        old = _bound(tx, key)
    if old is not None and old.stream_id == new.id:
        return
    if old is not None:
        numbered = _close(tx, key, old, now)
    tx.execute(insert(cursor).values(subscription_key=key, stream_id=new.id, base=new.head - numbered, since=new.head,
                                     accepted=new.head))


def _retry_now(tx, change):
    """It was asked for again, or works again: failed attempts are forgotten and what waits goes out at once."""
    due_at = subscription.c.due_at
    at = case((subscription.c.lease.is_(None), literal(change.recorded_at, due_at.type)), else_=due_at)
    tx.execute(update(subscription).where(subscription.c.id == change.id, subscription.c.attempts > 0)
               .values(attempts=0, due_at=at))


def _off(tx, row, now):
    tx.execute(update(subscription).where(subscription.c.key == row.key).values(
        active=False, ends_at=None, stream_id=None))
    old = _bound(tx, row.key)
    if old is not None:
        _close(tx, row.key, old, now)
    tx.execute(update(cursor).where(cursor.c.subscription_key == row.key).values(parked=True))


def _bound(tx, subscription_key):
    """The cursor that still follows its stream, with the stream's ``head``; None if there is none."""
    return tx.execute(select(cursor, stream.c.head).join(stream, stream.c.id == cursor.c.stream_id).where(
        cursor.c.subscription_key == subscription_key, cursor.c.until.is_(None))).first()


def _close(tx, subscription_key, bound, now):
    """End a cursor at its stream's head; what it has not delivered yet stays to be delivered.

    :returns: the number of the subscription's newest event: the next cursor counts on from there
    """
    tx.execute(update(cursor).where(cursor.c.key == bound.key).values(until=bound.head))
    numbered = bound.head - bound.base
    tx.execute(update(subscription).where(subscription.c.key == subscription_key).values(numbered=numbered))
    if bound.accepted < bound.head:  # perhaps since this batch, at the end of which it is no more on that stream
        tx.execute(update(subscription).where(subscription.c.key == subscription_key, IDLE).values(due_at=now))
    close_unused(tx, [bound.stream_id])
    return numbered


def _end(resource):
    return parse_instant(resource["end"]) if "end" in resource else None
