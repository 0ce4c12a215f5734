"""Streams: each distinct question once, filed under its access keys, with the numbered log of its events."""
from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from itertools import chain

from sqlalchemy import BigInteger, String, Text, and_, bindparam, delete, exists, insert, select, update

from ..store.rows import rows
from ..store.sets import within
from ..store.tables import Instant, cursor, event, stream, stream_key, subscription
from .needs import add_needs, count_needs, needs_text

# A dispatcher delivers it, and has nothing to send; the condition of a partial index, written as it is there.
IDLE = and_(subscription.c.due_at.is_(None), subscription.c.active, subscription.c.push)


def open_stream(tx, question, find):
    """The stream that asks ``question``, made and filed in the index if nobody asks it yet.

    Only the matcher calls this, so that no two make the same stream. A stream that is filed already, under keys that
    a changed EventDefinition made wrong, is filed anew.

    :param question: :class:`~fhirsub.fhir.topics.Question`
    :param find: ``find(reference)`` is the topic that is switched on, or None
    :returns: row with ``id`` and ``head``, the number of its newest event
    """
    return open_streams(tx, [question], find)[0]


def open_streams(tx, questions, find):
    """:func:`open_stream` for many at once, with as many statements as for one.

    :returns: a row for each question, in their order
    """
    asked = {question.canonical(): question for question in questions}
    digests = {hashlib.sha256(text.encode()).hexdigest(): text for text in asked}
    found = {digests[row.question_hash]: row for row in tx.execute(_ASKING, {"digests": digests})}
    for text, row in found.items():
        _file(tx, row.id, set(asked[text].keys(find)))
        count_needs(tx, row, set(asked[text].needs(find)))
    new = {digest: text for digest, text in digests.items() if text not in found}
    if new:
        found |= _make(tx, new, {text: asked[text] for text in new.values()}, find)
    return [found[question.canonical()] for question in questions]


def _make(tx, digests, asked, find):
    """``{text: row}`` of new streams, filed and with their needs counted."""
    needs = {text: question.needs(find) for text, question in asked.items()}
    add_needs(tx, chain.from_iterable(needs.values()))
    made = tx.execute(_INSERT, [{"question": text, "question_hash": digest, "needs": needs_text(needs[text])}
                                for digest, text in digests.items()])
    found = {digests[row.question_hash]: row for row in made}
    tx.execute(insert(stream_key), [{"key": key, "stream_id": found[text].id}
                                    for text, question in asked.items() for key in question.keys(find)])
    return found


def close_unused(tx, stream_ids):
    """Take streams that no subscription is bound to any more out of the index; their events stay for replay."""
    for row in tx.execute(_UNBOUND, {"ids": stream_ids}).all():
        _file(tx, row.id, set())
        count_needs(tx, row, set())


def _file(tx, stream_id, keys):
    filed = set(tx.execute(_KEYS, {"of": stream_id}).scalars())
    if filed - keys:
        tx.execute(_UNFILE, {"of": stream_id, "keys": filed - keys})
    if keys - filed:
        tx.execute(insert(stream_key), [{"key": key, "stream_id": stream_id} for key in keys - filed])


def append(tx, matches, *, now):
    """Add an event to a stream for each match, numbered in the order given.

    :param matches: list of :class:`.Found`; at most one of a stream and a change
    """
    heads, events = _move(tx, Counter(found.stream_id for found in matches)), []
    for stream_id, change_seq, transition, topics in reversed(matches):
        events.append((stream_id, heads[stream_id], change_seq, transition, " ".join(topics) or None))
        heads[stream_id] -= 1
    tx.execute(_APPEND, {"events": events[::-1], "now": now})


def _move(tx, counts):
    """Move heads on by so many events each; nearly always by one.

    :returns: where they are now, by stream
    """
    ids, heads = defaultdict(list), {}
    for stream_id, count in counts.items():
        ids[count].append(stream_id)
    for count, streams in ids.items():
        heads |= dict(tx.execute(_MOVE, {"ids": streams, "count": count}).all())
    return heads


def make_due(tx, stream_ids, *, now):
    """Make the subscriptions of these streams due for a dispatcher; those that wait for a retry keep their time.

    Comes after :func:`append` in the same transaction: a dispatcher that finds nothing left to send locks the stream
    before it lets go, so it either sees the new head or is seen here as idle.

    :returns: how many became due
    """
    return tx.execute(_MAKE_DUE, {"ids": stream_ids, "at": now}).rowcount


_SHOWN = (stream.c.id, stream.c.head, stream.c.needs, stream.c.question_hash)
_ASKING = select(*_SHOWN).where(within(stream.c.question_hash, "digests"))
_INSERT = insert(stream).returning(*_SHOWN)
_UNBOUND = select(stream.c.id, stream.c.needs).where(within(stream.c.id, "ids"), ~exists().where(
    cursor.c.stream_id == stream.c.id, cursor.c.until.is_(None)))
_KEYS = select(stream_key.c.key).where(stream_key.c.stream_id == bindparam("of"))
_UNFILE = delete(stream_key).where(stream_key.c.stream_id == bindparam("of"), within(stream_key.c.key, "keys"))
_MOVE = update(stream).where(within(stream.c.id, "ids")).values(head=stream.c.head + bindparam("count")).returning(
    stream.c.id, stream.c.head)
_APPEND = insert(event).from_select(
    ["stream_id", "number", "change_seq", "transition", "topics", "created_at"],
    select(*rows("events", BigInteger, BigInteger, BigInteger, String, Text), bindparam("now", type_=Instant)))
_MAKE_DUE = update(subscription).where(within(subscription.c.stream_id, "ids"), IDLE).values(due_at=bindparam("at"))
