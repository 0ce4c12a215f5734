"""What a claimed subscription has to send next, and letting it go when that is nothing.

What is replayed comes before anything newer; then a subscription works through its cursors in the order they were made.

No event is stranded. A subscription is let go (``due_at`` NULL) only in a transaction that (1) has locked its row, then
(2) has read its cursors, then (3) holds a share lock on each of their streams and has found each head at the cursor.
The matcher appends to a stream (an exclusive lock on it) before it makes idle subscriptions due. So either its append
came first, and (3) finds a busy or a longer stream; or it waits for this transaction to end, and then finds ``due_at``
NULL and sets it. A cursor that (2) could not see, or saw open, is one that the matcher opens, or closes, in a
transaction that also updates the subscription's row: it waits for (1), or (1) has waited for it. What is idle the
matcher finds by the stream of its open cursor; where it closes one with something left to send, it makes that very row
due. On SQLite one transaction writes at a time anyway.
"""
from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from sqlalchemy import and_, bindparam, func, or_, select

from ..fhir import json
from ..store import changes
from ..store.sets import within
from ..store.tables import change, cursor, event, stream, subscription
from . import claims
from .channels import TryLater, rendering
from .flights import Flight
from .notification import Notification
from .ordering import PARALLEL, numbers, pick, width

# A stream is locked while the matcher appends to it, which takes a few milliseconds.
_BUSY_S = 0.005
# Until a subscription past its end is looked at again that no sweep has switched off yet: its end may be moved.
_ENDED_S = 2.0
# A receiver of these is told that a resource has gone out of its sight, so it is not shown the resource.
_WITHOUT_CONTENT = ("leave", "delete")


def take_off(tx, leases, vault, under_way, *, room, now):
    """Load the next notifications of each lease; the leases that have none, or may send none, are let go.

    :param vault: fills in what is write-only, see :class:`fhirsub.subscriptions.secrets.Vault`
    :param under_way: ``{key: flights}`` of leases that have some: they are kept until these have landed
    :param room: how many may take off beyond one of each lease
    :returns: ``(flights, errors)``; errors are pairs of a flight and the TryLater that kept it on the ground
    """
    live = {lease.key: lease for lease in leases if lease.live(now)}
    _put_off_dead(tx, [lease for lease in leases if lease.key not in live and lease.key not in under_way], now)
    rows = _next_events(tx, live)
    _let_go(tx, {key: cursors for key, (found, cursors) in rows.items() if not found and key not in under_way}, now)
    picked = _pick(live, {key: found for key, (found, _) in rows.items()}, under_way, room)
    contents = _contents(tx, live, picked)
    flights, errors = [], []
    for key, row in picked:
        flight = _flight(live[key], row, contents.get((key, row.seq)), now)
        try:
            _complete(tx, flight, row, vault, now)
            flights.append(flight)
        except TryLater as error:
            errors.append((flight, error))
    return flights, errors


def waiting(tx, subscription_id):
    """How many events are still to be sent for a Subscription."""
    return _sum(tx, _WAITING, subscription_id)


def parked(tx, subscription_id):
    """How many were left when it was switched off, and are sent only if somebody asks for a replay."""
    return _sum(tx, _PARKED, subscription_id)


def _sum(tx, counting, subscription_id):
    return int(tx.execute(counting, {"id": subscription_id}).scalar() or 0)  # PostgreSQL's sum is a Decimal


def _put_off_dead(tx, leases, now):
    ended = [lease.key for lease in leases if lease.ended(now)]
    claims.put_off(tx, ended, due_at=now + timedelta(seconds=_ENDED_S))
    claims.put_off(tx, [lease.key for lease in leases if lease.key not in ended], due_at=None)


def _next_events(tx, leases):
    """The oldest events that are not accepted, of the first cursor of each subscription that has any.

    :returns: ``{key: (rows, [(stream_id, accepted), …])}``; the second: the open cursors before it, without an event
    """
    found = {key: ([], []) for key in leases}
    asking = defaultdict(list)
    for key, lease in leases.items():
        asking[_NEXT_PARALLEL if width(lease) > 1 else _NEXT_SHOWN if _has_payload(lease) else _NEXT].append(key)
    for statement, keys in asking.items():
        rows = tx.execute(statement, {"keys": keys}).all()
        for key, cursors in groupby(rows, key=attrgetter("subscription_key")):
            found[key] = _first(cursors)
    return found


def _has_payload(lease):
    return "payload" in lease.resource["channel"]


def _first(rows):
    idle = []
    for _, cursor_rows in groupby(rows, key=attrgetter("cursor_key")):
        events = list(cursor_rows)
        first = events[0]
        if first.number is not None:
            done = numbers(first.ahead) - {first.accepted + 1}
            return [row for row in events if row.number not in done], idle
        idle.append((first.stream_id, first.accepted))
    return [], idle


def _pick(leases, found, under_way, room):
    """``[(key, row), …]`` of what is sent now."""
    picked = []
    for key, rows in found.items():
        flying = under_way.get(key, ())
        if rows and any(flight.cursor_key != rows[0].cursor_key for flight in flying):
            continue  # a replay begins when what is newer has landed, and the other way round
        most = 1 if room <= 0 else min(width(leases[key]), room + 1)
        chosen = pick(rows, {flight.number for flight in flying}, most)
        room -= len(chosen[1:])
        picked += [(key, row) for row in chosen]
    return picked


def _let_go(tx, idle, now):
    streams = {stream_id for cursors in idle.values() for stream_id, _ in cursors}
    heads = dict(tx.execute(_LOCK_STREAMS, {"ids": sorted(streams)}).all()) if streams else {}
    quiet = [key for key, cursors in idle.items()
             if all(heads.get(stream_id) == accepted for stream_id, accepted in cursors)]
    claims.put_off(tx, quiet, due_at=None)
    claims.put_off(tx, idle.keys() - set(quiet), due_at=now + timedelta(seconds=_BUSY_S))


def _contents(tx, leases, picked):
    """The JSON text of those that are to be shown it, by the key of the subscription and ``seq``."""
    shown = [(key, row) for key, row in picked if _has_payload(leases[key]) and row.transition not in _WITHOUT_CONTENT]
    apart = {row.seq for key, row in shown if width(leases[key]) > 1}
    texts = changes.texts(tx, apart) if apart else {}
    return {(key, row.seq): texts[row.seq] if row.seq in apart else row.content for key, row in shown}


def _flight(lease, row, content, now):
    return Flight(lease, row.cursor_key, row.stream_id, row.number, width(lease) == 1 and not row.ahead,
                  _notification(lease, row, content), row.created_at, row.replay, now)


def _notification(lease, row, content):
    return Notification(
        subscription=lease.resource | {"channel": dict(lease.resource["channel"])}, subscription_key=lease.key,
        event_number=row.number - row.base, attempt=lease.attempts + 1, type=row.type, resource_id=row.id,
        version_id=row.version_id, interaction=row.interaction, content=content, transition=row.transition,
        topics=tuple((row.topics or "").split()), recorded_at=row.recorded_at, hops=(row.hops or 0) + 1)


def _complete(tx, flight, row, vault, now):
    """Fill in what may be unreadable.

    :raises TryLater: it is
    """
    if row.context:
        with rendering():
            flight.notification = replace(flight.notification, context=tuple(json.decode(row.context)))
    try:
        _fill_in_secrets(tx, flight.notification, vault, now)
    except ValueError as error:
        raise TryLater(reason=str(error), error="secret") from error


def _fill_in_secrets(tx, notification, vault, now):
    id, channel = notification.subscription["id"], notification.channel
    channel |= vault.reveal_signature(tx, id, channel, now=now)
    if "header" in channel:
        channel["header"] = vault.reveal(tx, id, channel["header"])


_c, _e = cursor.c, event.c
_UNFINISHED = or_(_c.until.is_(None), _c.accepted < _c.until)


def _next(which, *content):
    return (select(_c.subscription_key, _c.key.label("cursor_key"), _c.stream_id, _c.base, _c.accepted, _c.ahead,
                   _c.replay, _e.number, _e.created_at, _e.transition, _e.topics, change.c.seq, change.c.type,
                   change.c.id, change.c.version_id, change.c.interaction, change.c.context, change.c.recorded_at,
                   change.c.hops, *content)
            .outerjoin(event, and_(_e.stream_id == _c.stream_id, which))
            .outerjoin(change, change.c.seq == _e.change_seq)
            .where(within(_c.subscription_key, "keys"), ~_c.parked, _UNFINISHED)
            .order_by(_c.subscription_key, _c.replay.desc(), _c.key, _e.number))


# Equality, not a range: PostgreSQL takes a range of one column to another for a third of the table.
_NEXT = _next(_e.number == _c.accepted + 1)
_NEXT_SHOWN = changes.with_version(_next(_e.number == _c.accepted + 1, changes.TEXT.label("content")))
_NEXT_PARALLEL = _next(and_(_e.number.in_([_c.accepted + step for step in range(1, PARALLEL + 1)]),
                            or_(_c.until.is_(None), _e.number <= _c.until)))
_UNACCEPTED = (select(func.sum(func.coalesce(_c.until, stream.c.head) - _c.accepted))
               .join(subscription, subscription.c.key == _c.subscription_key).join(stream, stream.c.id == _c.stream_id)
               .where(subscription.c.id == bindparam("id")))
_WAITING, _PARKED = _UNACCEPTED.where(~_c.parked), _UNACCEPTED.where(_c.parked)
_LOCK_STREAMS = (select(stream.c.id, stream.c.head).where(within(stream.c.id, "ids"))
                 .order_by(stream.c.id).with_for_update(read=True, skip_locked=True))
