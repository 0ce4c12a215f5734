"""What a claimed subscription has to send next, and letting it go when that is nothing.

No event is stranded. A subscription is let go (``due_at`` NULL) only in a transaction that (1) has locked its row, then
(2) has read its cursors, then (3) holds a share lock on each of their streams and has found each head where the cursor is.
The matcher appends to a stream (an exclusive lock on it) before it makes idle subscriptions due. So either its append
came first, and (3) finds a busy or a longer stream; or it waits for this transaction to end, and then finds ``due_at``
NULL and sets it. A cursor that (2) could not see is one that the matcher opens in a transaction that also updates the
subscription's row: it waits for (1), or (1) has waited for it. On SQLite one transaction writes at a time anyway.
"""
from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

from sqlalchemy import and_, bindparam, delete, select, update

from ..store import changes
from ..store.tables import change, cursor, event, stream
from . import claims
from .claims import Lease
from .notification import Notification

# A stream is locked while the matcher appends to it, which takes a few milliseconds.
_BUSY_S = 0.005


@dataclass
class Flight:
    """A notification under way, and what its acceptance means.

    :param number: stream number that cursor ``cursor_key`` moves to
    """

    lease: Lease
    cursor_key: int
    number: int
    notification: Notification


def take_off(tx, leases, vault, *, now):
    """Load the next notification of each lease; the leases that have none, or may send none, are let go.

    :param vault: fills in secret headers, see :meth:`fhirsub.subscriptions.secrets.Vault.reveal`
    :returns: ``(flights, errors)``; errors are pairs of a flight and the ValueError that kept it on the ground
    """
    live = {lease.key: lease for lease in leases if lease.live(now)}
    claims.put_off(tx, [lease.key for lease in leases if lease.key not in live], due_at=None)
    found, idle = _next_events(tx, live)
    _let_go(tx, idle, now)
    asked = [row.seq for key, row in found.items() if "payload" in live[key].resource["channel"]]
    texts = changes.texts(tx, asked) if asked else {}
    flights, errors = [], []
    for key, row in found.items():
        lease = live[key]
        flight = Flight(lease, row.cursor_key, row.number, _notification(lease, row, texts.get(row.seq)))
        try:
            _fill_in_secrets(tx, flight.notification, vault)
            flights.append(flight)
        except ValueError as error:
            errors.append((flight, error))
    return flights, errors


def accept(tx, flights):
    """Move the cursors: the channels have accepted these notifications. A cursor that stands elsewhere stays there."""
    if flights:
        tx.execute(_ACCEPT, [{"of": flight.cursor_key, "reached": flight.number} for flight in flights])


def _next_events(tx, keys):
    """The oldest event to send of each subscription.

    :returns: ``({key: row}, {key: [(stream_id, accepted), …]})``; the second: who has none, with the open cursors
    """
    found, idle, finished = {}, {}, []
    if keys:
        rows = tx.execute(_NEXT, {"keys": list(keys)}).all()
        idle = {key: [] for key in keys}
        for key, cursors in groupby(rows, key=attrgetter("subscription_key")):
            for row in cursors:
                if row.until is not None and row.accepted >= row.until:
                    finished.append(row.cursor_key)
                elif row.number is None:
                    idle[key].append((row.stream_id, row.accepted))
                else:
                    found[key] = row
                    break
    if finished:
        tx.execute(_FINISH, {"keys": finished})
    return found, {key: cursors for key, cursors in idle.items() if key not in found}


def _let_go(tx, idle, now):
    streams = {stream_id for cursors in idle.values() for stream_id, _ in cursors}
    heads = dict(tx.execute(_LOCK_STREAMS, {"ids": sorted(streams)}).all()) if streams else {}
    quiet = [key for key, cursors in idle.items()
             if all(heads.get(stream_id) == accepted for stream_id, accepted in cursors)]
    claims.put_off(tx, quiet, due_at=None)
    claims.put_off(tx, idle.keys() - set(quiet), due_at=now + timedelta(seconds=_BUSY_S))


def _notification(lease, row, content):
    return Notification(
        subscription=lease.resource | {"channel": dict(lease.resource["channel"])}, subscription_key=lease.key,
        event_number=row.number - row.base, attempt=lease.attempts + 1, type=row.type, resource_id=row.id,
        version_id=row.version_id, interaction=row.interaction, content=content)


def _fill_in_secrets(tx, notification, vault):
    channel = notification.channel
    if "header" in channel:
        channel["header"] = vault.reveal(tx, notification.subscription["id"], channel["header"])


_c, _e = cursor.c, event.c
_NEXT = (select(_c.subscription_key, _c.key.label("cursor_key"), _c.stream_id, _c.base, _c.accepted, _c.until, _e.number,
                change.c.seq, change.c.type, change.c.id, change.c.version_id, change.c.interaction)
         .outerjoin(event, and_(_e.stream_id == _c.stream_id, _e.number == _c.accepted + 1))
         .outerjoin(change, change.c.seq == _e.change_seq)
         .where(_c.subscription_key.in_(bindparam("keys", expanding=True)), ~_c.parked)
         .order_by(_c.subscription_key, _c.key))
_FINISH = delete(cursor).where(_c.key.in_(bindparam("keys", expanding=True)))
_ACCEPT = (update(cursor).where(_c.key == bindparam("of"), _c.accepted == bindparam("reached") - 1)
           .values(accepted=bindparam("reached")))
_LOCK_STREAMS = (select(stream.c.id, stream.c.head).where(stream.c.id.in_(bindparam("ids", expanding=True)))
                 .order_by(stream.c.id).with_for_update(read=True, skip_locked=True))
