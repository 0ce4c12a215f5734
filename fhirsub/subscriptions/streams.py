"""Streams: each distinct question once, filed under its access keys, with the numbered log of its events."""
from __future__ import annotations

import hashlib
from collections import Counter

from sqlalchemy import bindparam, delete, exists, insert, or_, select, update

from ..store.sets import within
from ..store.tables import cursor, event, stream, stream_key, subscription


def open_stream(tx, criteria):
    """The stream that asks ``criteria``, made and filed in the index if nobody asks it yet.

    Only the matcher calls this, so that no two make the same stream.

    :param criteria: a parsed :class:`~fhirsub.fhir.criteria.Criteria`
    :returns: row with ``id`` and ``head``, the number of its newest event
    """
    question = criteria.canonical()
    digest = hashlib.sha256(question.encode()).hexdigest()
    found = tx.execute(select(stream.c.id, stream.c.head).where(stream.c.question_hash == digest)).first()
    if not found:
        found = tx.execute(insert(stream).values(question=question, question_hash=digest)
                           .returning(stream.c.id, stream.c.head)).one()
    filed = tx.execute(select(stream_key.c.key).where(stream_key.c.stream_id == found.id).limit(1)).first()
    if not filed:
        tx.execute(insert(stream_key), [{"key": key, "stream_id": found.id} for key in criteria.keys()])
    return found


def close_unused(tx, stream_ids):
    """Take streams that no subscription is bound to any more out of the index; their events stay for replay."""
    bound = exists().where(cursor.c.stream_id == stream_key.c.stream_id, cursor.c.until.is_(None))
    tx.execute(delete(stream_key).where(stream_key.c.stream_id.in_(list(stream_ids)), ~bound))


def append(tx, matches, *, now):
    """Add an event to a stream for each match, numbered in the order given.

    :param matches: list of ``(stream_id, change_seq)``; at most one of a pair
    """
    counts = Counter(stream_id for stream_id, _ in matches)
    heads = dict(tx.execute(_LOCK, {"ids": counts}).all())
    events = []
    for stream_id, change_seq in matches:
        heads[stream_id] += 1
        events.append({"stream_id": stream_id, "number": heads[stream_id], "change_seq": change_seq, "created_at": now})
    tx.execute(_MOVE, [{"of": stream_id, "to": head} for stream_id, head in heads.items()])
    tx.execute(insert(event), events)


def make_due(tx, stream_ids, *, now):
    """Make the subscriptions of these streams due for a dispatcher; those that wait for a retry keep their time.

    Comes after :func:`append` in the same transaction: a dispatcher that finds nothing left to send locks the stream
    before it lets go, so it either sees the new head or is seen here as idle.

    :returns: how many became due
    """
    return tx.execute(_MAKE_DUE, {"ids": stream_ids, "at": now}).rowcount


_LOCK = select(stream.c.id, stream.c.head).where(within(stream.c.id, "ids")).order_by(stream.c.id).with_for_update()
_MOVE = update(stream).where(stream.c.id == bindparam("of")).values(head=bindparam("to"))
# A cursor that new criteria closed in the same batch has its last events to send too.
_BEHIND = select(cursor.c.subscription_key).where(
    within(cursor.c.stream_id, "ids"), or_(cursor.c.until.is_(None), cursor.c.accepted < cursor.c.until), ~cursor.c.parked)
_MAKE_DUE = update(subscription).where(
    subscription.c.key.in_(_BEHIND), subscription.c.active, subscription.c.push, subscription.c.due_at.is_(None)).values(
    due_at=bindparam("at"))
