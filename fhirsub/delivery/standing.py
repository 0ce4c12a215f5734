"""Where websocket Subscriptions stand in the event log, read and moved for many at once."""
from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import and_, bindparam, case, not_, or_, select, update

from ..store.sets import within
from ..store.tables import cursor, stream, subscription


@dataclass
class Standing:
    """One active Subscription.

    :param number: event number of its newest event, counted over all its questions; 0 before the first
    :param behind: whether events came that no socket of it was pinged for
    :param heads: ``{stream id: number of its newest event}`` of the streams that it follows
    """

    key: int
    number: int = 0
    behind: bool = False
    heads: dict[int, int] = field(default_factory=dict)


def standings(tx, ids, *, now):
    """Read how far the log goes for Subscriptions that a socket may be bound to.

    :param ids: ids of Subscriptions, also of some that do not exist
    :returns: ``{id: Standing}``; without those that are unknown, off, ended or of another channel
    """
    found = {}
    for row in tx.execute(_STANDINGS, {"ids": ids, "now": now}):
        standing = found.setdefault(row.id, Standing(row.key))
        newest = row.head if row.until is None else min(row.head, row.until)
        standing.number = max(standing.number, newest - row.base)
        standing.behind |= row.accepted < newest
        if row.until is None:
            standing.heads[row.stream_id] = row.head
    return found


def moved(tx, heads):
    """Which streams have newer events than these; costs a tenth of reading the standings.

    :param heads: ``{stream id: number of the newest event known}``
    :returns: set of stream ids
    """
    return {stream_id for stream_id, head in tx.execute(_HEADS, {"ids": heads}) if head > heads[stream_id]}


def accept(tx, numbers):
    """Move the cursors of Subscriptions forward to the events that a socket was pinged for, never back.

    :param numbers: ``{subscription key: event number}``
    """
    # Every process moves them in the same order, so that no two wait for each other.
    tx.execute(_ACCEPT, [{"of_key": key, "number": number} for key, number in sorted(numbers.items())])


_STANDINGS = (
    select(subscription.c.id, subscription.c.key, stream.c.id.label("stream_id"), stream.c.head,
           cursor.c.base, cursor.c.accepted, cursor.c.until)
    .join(cursor, and_(cursor.c.subscription_key == subscription.c.key, not_(cursor.c.parked)))
    .join(stream, stream.c.id == cursor.c.stream_id)
    .where(within(subscription.c.id, "ids"), subscription.c.active, not_(subscription.c.push),
           or_(subscription.c.ends_at.is_(None), subscription.c.ends_at > bindparam("now"))))
_HEADS = select(stream.c.id, stream.c.head).where(within(stream.c.id, "ids"))
_wanted = bindparam("number") + cursor.c.base
_reached = case((cursor.c.until < _wanted, cursor.c.until), else_=_wanted)
_ACCEPT = update(cursor).where(cursor.c.subscription_key == bindparam("of_key"), not_(cursor.c.parked),
                               cursor.c.accepted < _reached).values(accepted=_reached)
