"""Acceptance: the cursors move over what the channels have accepted, and never over what they have not.

Where several notifications are under way at once, one may be accepted before an older one. The cursor waits for that,
and remembers meanwhile what is accepted beyond it: so no process sends it again.
"""
from __future__ import annotations

from collections import defaultdict

from sqlalchemy import bindparam, delete, insert, select, update

from ..store.sets import within
from ..store.tables import attempt, cursor
from .attempts import log_attempts
from .ordering import numbers


def accept(tx, landed):
    """The channels have accepted these notifications. A cursor that stands elsewhere stays there.

    :param landed: ``{flight: row}``; the row is what the log of attempts says of it, see :func:`.attempts.row`
    :returns: keys of the subscriptions whose cursors move
    """
    alone = [flight for flight in landed if flight.alone]
    ahead = [flight for flight in landed if not flight.alone]
    if alone:
        _accept_alone(tx, alone, [landed[flight] for flight in alone])
    moved = {flight.lease.key for flight in alone}
    if ahead:
        log_attempts(tx, [landed[flight] for flight in ahead])
        moved |= _accept_ahead(tx, ahead)
    replayed = [flight.cursor_key for flight in landed if flight.manual]
    if replayed:
        tx.execute(_FORGET_COPIES, {"keys": replayed})
    return moved


def _accept_alone(tx, flights, rows):
    moves = [{"of": flight.cursor_key, "whose": flight.lease.key, "through": flight.stream_id, "reached": flight.number}
             for flight in flights]
    if tx.dialect.name == "postgresql":  # where each statement is a round trip
        tx.execute(_ACCEPT_AND_LOG, [move | {_LOGGED[name]: value for name, value in row.items()}
                                     for move, row in zip(moves, rows, strict=True)])
    else:
        tx.execute(_ACCEPT, moves)
        log_attempts(tx, rows)


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
_FORGET_COPIES = delete(cursor).where(within(_c.key, "keys"), _c.since.is_(None), _c.accepted >= _c.until)
# SQLite gives the key of a cursor that was deleted meanwhile to the next one.
_ACCEPT = (update(cursor).where(_c.key == bindparam("of"), _c.subscription_key == bindparam("whose"),
                                _c.stream_id == bindparam("through"), _c.accepted == bindparam("reached") - 1)
           .values(accepted=bindparam("reached")))
# Not named as the columns: SQLAlchemy would set those of the cursor too.
_LOGGED = {name: f"logged_{name}" for name in attempt.c.keys()}
_ACCEPT_AND_LOG = (insert(attempt).add_cte(_ACCEPT.returning(_c.key).cte("moved"))
                   .values({name: bindparam(logged) for name, logged in _LOGGED.items() if name != "key"}))
_AHEAD = (select(_c.key, _c.subscription_key, _c.stream_id, _c.accepted, _c.ahead)
          .where(within(_c.key, "keys")).with_for_update())
_MOVE = update(cursor).where(_c.key == bindparam("of")).values(accepted=bindparam("reached"), ahead=bindparam("beyond"))
