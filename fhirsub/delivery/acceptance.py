"""Acceptance: the cursors move over what the channels have accepted, and never over what they have not.

Where several notifications are under way at once, one may be accepted before an older one. The cursor waits for that,
and remembers meanwhile what is accepted beyond it: so no process sends it again.
"""
from __future__ import annotations

from collections import defaultdict

from sqlalchemy import bindparam, delete, select, update

from ..store.tables import cursor
from .ordering import numbers


def accept(tx, flights):
    """The channels have accepted these notifications. A cursor that stands elsewhere stays there.

    :returns: keys of the subscriptions whose cursors move
    """
    alone = [flight for flight in flights if flight.alone]
    if alone:
        tx.execute(_ACCEPT, [{"of": flight.cursor_key, "whose": flight.lease.key, "through": flight.stream_id,
                              "reached": flight.number} for flight in alone])
    moved = {flight.lease.key for flight in alone}
    if len(alone) < len(flights):
        moved |= _accept_ahead(tx, [flight for flight in flights if not flight.alone])
    replayed = [flight.cursor_key for flight in flights if flight.manual]
    if replayed:
        tx.execute(_FORGET_COPIES, {"keys": replayed})
    return moved


def _accept_ahead(tx, flights):
    """Move cursors over what is accepted without a gap, and keep what is beyond it."""
    landed, moved = defaultdict(set), set()
    for flight in flights:
        landed[flight.cursor_key, flight.lease.key, flight.stream_id].add(flight.number)
    for row in tx.execute(_AHEAD, {"keys": [flight.cursor_key for flight in flights]}).all():
        reached, done = row.accepted, landed[row.key, row.subscription_key, row.stream_id] | numbers(row.ahead)
        while reached + 1 in done:
            reached += 1
        ahead = " ".join(str(number) for number in sorted(done) if number > reached)
        tx.execute(_MOVE, {"of": row.key, "reached": reached, "beyond": ahead or None})
        if reached > row.accepted:
            moved.add(row.subscription_key)
    return moved


_c = cursor.c
_FORGET_COPIES = delete(cursor).where(
    _c.key.in_(bindparam("keys", expanding=True)), _c.since.is_(None), _c.accepted >= _c.until)
# SQLite gives the key of a cursor that was deleted meanwhile to the next one.
_ACCEPT = (update(cursor).where(_c.key == bindparam("of"), _c.subscription_key == bindparam("whose"),
                                _c.stream_id == bindparam("through"), _c.accepted == bindparam("reached") - 1)
           .values(accepted=bindparam("reached")))
_AHEAD = (select(_c.key, _c.subscription_key, _c.stream_id, _c.accepted, _c.ahead)
          .where(_c.key.in_(bindparam("keys", expanding=True))).with_for_update())
_MOVE = update(cursor).where(_c.key == bindparam("of")).values(accepted=bindparam("reached"), ahead=bindparam("beyond"))
