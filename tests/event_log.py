"""Rows of the event log as the matcher writes them, for tests of what reads it."""
from __future__ import annotations

import hashlib

from sqlalchemy import insert, select, update

from fhirsub.store.tables import cursor, stream, subscription


def subscribe(tx, id, *, push=False, active=True, ends_at=None, question=None, head=0, accepted=None):
    """An active websocket Subscription on a new stream, which has ``head`` events; without ``question`` on its own."""
    key = tx.execute(insert(subscription).values(id=id, active=active, push=push, ends_at=ends_at)
                     .returning(subscription.c.key)).scalar_one()
    follow(tx, key, question or f"Observation?code={id}", head=head, accepted=accepted)
    return key


def follow(tx, key, question, *, head=0, accepted=None, numbered=0):
    """Open a cursor on the stream of a question; ``numbered`` events came before it."""
    digest = hashlib.sha256(question.encode()).hexdigest()
    stream_id = tx.execute(select(stream.c.id).where(stream.c.question_hash == digest)).scalar()
    if stream_id is None:
        stream_id = tx.execute(insert(stream).values(question=question, question_hash=digest, head=head)
                               .returning(stream.c.id)).scalar_one()
    accepted = head if accepted is None else accepted
    tx.execute(insert(cursor).values(subscription_key=key, stream_id=stream_id, base=-numbered, accepted=accepted))


def happen(tx, id, count=1):
    """Append events to the stream that the Subscription now follows."""
    followed = select(cursor.c.stream_id).join(subscription, subscription.c.key == cursor.c.subscription_key).where(
        subscription.c.id == id, cursor.c.until.is_(None))
    tx.execute(update(stream).where(stream.c.id.in_(followed)).values(head=stream.c.head + count))


def accepted(tx, id):
    """How far the open cursor of a Subscription was moved."""
    return tx.execute(select(cursor.c.accepted).join(subscription, subscription.c.key == cursor.c.subscription_key).where(
        subscription.c.id == id, cursor.c.until.is_(None))).scalar_one()
