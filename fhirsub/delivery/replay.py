"""Replay: what a Subscription was notified of before, or what ``off`` parked, is sent again under its old numbers.

A copy of a stretch of a cursor is worked off before anything newer and then forgotten; the cursor that follows the
stream stays where it is.

Spec: https://www.standardwebhooks.com (a repetition carries the id of the first attempt)
"""
from __future__ import annotations

from datetime import datetime, timedelta
from math import inf
from typing import NamedTuple

from sqlalchemy import and_, bindparam, func, insert, select, update

from ..errors import Conflict, Unprocessable
from ..store.database import claim
from ..store.hints import announce_ours
from ..store.tables import cursor, event, subscription

MAX_EVENTS = 10_000  # so that nobody keeps a receiver from what is new for days by one mistyped date
PRUNING = "fhirsub_pruning"  # who replays and who prunes take turns


class Asked(NamedTuple):
    """What to send again: events by number or by time, both ends included; None: no end.

    :param first: event number of the Subscription; likewise ``last``
    :param since: aware UTC, when the matcher found the event; likewise ``until``
    """

    first: int | None = None
    last: int | None = None
    since: datetime | None = None
    until: datetime | None = None


class Stretch(NamedTuple):
    """Stream numbers ``low`` to ``high``, both included; the Subscription's own numbers are ``base`` less."""

    stream_id: int
    base: int
    low: int
    high: int

    @property
    def count(self):
        return self.high - self.low + 1


def replay(tx, subscription_id, asked, config, *, now):
    """Have events that the channel has accepted before sent again, in order, before anything newer.

    :param asked: :class:`Asked`
    :returns: how many events
    :raises Conflict: the matcher has not switched the Subscription on yet, or a replay of it is under way
    :raises Unprocessable: some of what is asked is not kept any more, or it is too much, or a websocket's
    """
    key = _lock(tx, subscription_id)
    if _first(asked, config, now) < (tx.execute(_FIRST_KEPT, {"of": key}).scalar() or 1):
        raise _forgotten(config)
    found = [_part(tx, Stretch(*row), asked, config, now) for row in tx.execute(_ACCEPTED, {"of": key}).all()]
    stretches = [part for part in found if part is not None]
    count = sum(stretch.count for stretch in stretches)
    if count > MAX_EVENTS:
        raise Unprocessable(f"Parameters.parameter: this asks for {count} events, and {MAX_EVENTS} may be replayed at "
                            "once; narrow it down", expression="Parameters.parameter", code="too-costly")
    for stream_id, base, low, high in stretches:
        tx.execute(insert(cursor).values(subscription_key=key, stream_id=stream_id, base=base, accepted=low - 1,
                                         until=high, replay=True))
    _send_now(tx, key, now)
    return count


def redrive(tx, subscription_id, *, now):
    """Have the events sent that were parked when the Subscription was switched off.

    :returns: how many events
    :raises Conflict: as for :func:`replay`
    """
    key = _lock(tx, subscription_id)
    rows = tx.execute(_UNPARK, {"of": key}).all()
    _send_now(tx, key, now)
    return sum(row.until - row.accepted for row in rows)


def _lock(tx, subscription_id):
    """Hold the Subscription's row, so that no dispatcher looks at its cursors meanwhile; returns its key."""
    claim(tx, PRUNING)
    row = tx.execute(select(subscription).where(subscription.c.id == subscription_id).with_for_update()).first()
    if row is None or not row.active:
        raise Conflict(f"Subscription/{subscription_id} is not switched on yet; try again in a moment")
    if not row.push:
        raise Unprocessable("Subscription.channel.type: a websocket client reads what it was pinged for; there is "
                            "nothing to send again", expression="Subscription.channel.type", code="not-supported")
    if left := tx.execute(_LEFT, {"of": row.key}).scalar():
        raise Conflict(f"a replay of Subscription/{subscription_id} is under way, with {left} events to go")
    return row.key


def _part(tx, stretch, asked, config, now):
    """What is asked of a stretch; None: nothing of it.

    :raises Unprocessable: it was asked, and is not there any more
    """
    if asked.first is None and asked.last is None:
        part = _by_time(tx, stretch, asked)
        whole = stretch if _reaches_back(asked, config, now) else None
    else:
        whole = part = _by_number(stretch, asked)
    if whole is not None and _oldest(tx, whole) != whole.low:
        raise _forgotten(config)
    return part


def _forgotten(config):
    return Unprocessable("Parameters.parameter: some of these events are not kept any more; this server keeps them "
                         f"for {config.event_days} days (EVENT_DAYS)", expression="Parameters.parameter",
                         code="not-found")


def _first(asked, config, now):
    """The event number that is asked for at least."""
    if asked.first is None and asked.last is None and not _reaches_back(asked, config, now):
        return inf
    return asked.first or 1


def _reaches_back(asked, config, now):
    """Whether the time begins where events may be forgotten already."""
    return asked.since is None or config.event_days and asked.since < now - timedelta(days=config.event_days)


def _by_number(stretch, asked):
    low = stretch.low if asked.first is None else max(stretch.low, asked.first + stretch.base)
    high = stretch.high if asked.last is None else min(stretch.high, asked.last + stretch.base)
    return stretch._replace(low=low, high=high) if low <= high else None


def _by_time(tx, stretch, asked):
    found = select(func.min(event.c.number), func.max(event.c.number)).where(_of(stretch))
    if asked.since is not None:
        found = found.where(event.c.created_at >= asked.since)
    if asked.until is not None:
        found = found.where(event.c.created_at <= asked.until)
    low, high = tx.execute(found).one()
    return None if low is None else stretch._replace(low=low, high=high)


def _oldest(tx, stretch):
    return tx.execute(select(func.min(event.c.number)).where(_of(stretch))).scalar()


def _of(stretch):
    return and_(event.c.stream_id == stretch.stream_id, event.c.number.between(stretch.low, stretch.high))


def _send_now(tx, key, now):
    """Whoever replays cancels the pause before the next attempt, and the schedule starts anew."""
    tx.execute(update(subscription).where(subscription.c.key == key, subscription.c.lease.is_(None))
               .values(attempts=0, due_at=now))
    announce_ours(tx, "due")


_c = cursor.c
_MINE = _c.subscription_key == bindparam("of")
_ACCEPTED = (select(_c.stream_id, _c.base, _c.since + 1, _c.accepted)
             .where(_MINE, _c.since.is_not(None), _c.accepted > _c.since).order_by(_c.key))
_FIRST_KEPT = select(func.min(_c.since - _c.base) + 1).where(_MINE, _c.since.is_not(None))
_LEFT = select(func.sum(_c.until - _c.accepted)).where(_MINE, _c.replay, ~_c.parked, _c.accepted < _c.until)
_UNPARK = (update(cursor).where(_MINE, _c.parked, _c.accepted < _c.until).values(parked=False, replay=True)
           .returning(_c.accepted, _c.until))
