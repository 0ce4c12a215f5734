"""Retention: attempts, events and changes that are older than a setting says are forgotten, a little at a time.

An event is kept, however old, while a subscription that is not off has still to send it, and the newest of a stream
always: it tells a subscription that was away that something happened. Changes are kept while an event refers to them;
those of Subscriptions and EventDefinitions always: they tell what was asked when.
"""
from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from sqlalchemy import and_, bindparam, case, delete, exists, func, or_, select, update

from ..errors import StorageError
from ..store.database import claim
from ..store.owner import owner_token
from ..store.sets import within
from ..store.tables import attempt, change, cursor, event, stream, subscription
from ..subscriptions import lease
from .replay import PRUNING

log = logging.getLogger(__name__)

BATCH = 1000     # rows; a longer transaction would keep the writers of SQLite waiting
STREAMS = 100    # looked at in one transaction
LEASE_S = 60.0
PASS_S = 3600.0  # from one pass to the next
IDLE_SHARE = 4   # it rests four times as long as it works, so that a large backlog of old rows slows nobody down
_KEPT_TYPES = ("Subscription", "EventDefinition")


class Retention:
    """Runs in a thread of its own, in any number of processes; one at a time holds the lease.

    :param now: callable giving the time
    """

    def __init__(self, database, config, *, now):
        self.database, self.config, self.now = database, config, now
        self.owner, self._stop = owner_token(), threading.Event()
        self._stream_id = self._seq = 0  # how far this pass has come

    def run(self):
        """Prune until :meth:`stop`, once an hour."""
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                more = self.step()
            except StorageError:
                more = False  # it is in no hurry
            except Exception:
                log.exception("old rows were not pruned; it is tried again in an hour")
                more = False
            self._stop.wait((time.monotonic() - began) * IDLE_SHARE if more else PASS_S)

    def stop(self):
        """Let the batch at hand finish, then end :meth:`run`."""
        self._stop.set()

    def step(self):
        """Prune one batch; returns whether this pass has more to look at."""
        now = self.now()
        with self.database.write() as tx:
            if not lease.take(tx, "retention", self.owner, now=now, lease_s=LEASE_S):
                return False
            claim(tx, PRUNING)
            if self.config.attempt_days and _prune_attempts(tx, now - timedelta(days=self.config.attempt_days)):
                return True
            if not self.config.event_days:
                return False
            cutoff = now - timedelta(days=self.config.event_days)
            return self._prune_events(tx, cutoff) or self._prune_changes(tx, cutoff)

    def _prune_events(self, tx, cutoff):
        """Prune the next streams; whether there are more of them."""
        left, streams = BATCH, tx.execute(_STREAMS, {"after": self._stream_id}).all()
        for row in streams:
            if row.created_at is not None and row.created_at < cutoff:
                left -= _prune_stream(tx, row.id, row.head, cutoff, left)
            if not left:
                return True
            self._stream_id = row.id
        return len(streams) == STREAMS

    def _prune_changes(self, tx, cutoff):
        """Prune the next changes; whether there are more of them. After the last old one a new pass begins."""
        rows = tx.execute(_CHANGES, {"after": self._seq}).all()
        old = [row for row in rows if row.recorded_at < cutoff]
        if unused := [row.seq for row in old if row.unused]:
            tx.execute(_FORGET_CHANGES, {"seqs": unused})
        if len(old) == BATCH:
            self._seq = rows[-1].seq
            return True
        self._stream_id = self._seq = 0
        return False


def _prune_attempts(tx, cutoff):
    return tx.execute(_FORGET_ATTEMPTS, {"cutoff": cutoff}).rowcount == BATCH


def _prune_stream(tx, stream_id, head, cutoff, limit):
    """Forget old events that nobody has still to send, oldest first; returns how many.

    Cursors that stand before them, parked or of a websocket, are moved behind them. Where somebody holds one just now,
    it is left to the next pass: nobody waits for this.
    """
    needed = tx.execute(_NEEDED, {"stream_id": stream_id}).scalar()
    last = head - 1 if needed is None else min(head - 1, needed)
    numbers = tx.execute(_OLD, {"stream_id": stream_id, "last": last, "cutoff": cutoff, "limit": limit}).scalars().all()
    if not numbers or not _move_behind(tx, stream_id, numbers[-1]):
        return 0
    return tx.execute(_FORGET_EVENTS, {"stream_id": stream_id, "last": numbers[-1]}).rowcount


def _move_behind(tx, stream_id, number):
    where = {"of_stream": stream_id, "reached": number}
    keys = tx.execute(_TOUCHED, where).scalars().all()
    if len(tx.execute(_HOLD, {"keys": keys}).all()) < len(keys):
        return False
    tx.execute(_MOVE, {"keys": keys, "reached": number})
    tx.execute(_FORGET_CURSORS, where)
    return True


_c, _e = cursor.c, event.c
_FORGET_ATTEMPTS = delete(attempt).where(attempt.c.key.in_(
    select(attempt.c.key).where(attempt.c.started_at < bindparam("cutoff"))
    .order_by(attempt.c.started_at).limit(BATCH)))

_OLDEST = select(func.min(_e.number)).where(_e.stream_id == stream.c.id).correlate(stream).scalar_subquery()
_STREAMS = (select(stream.c.id, stream.c.head, _e.created_at)
            .outerjoin(event, and_(_e.stream_id == stream.c.id, _e.number == _OLDEST))
            .where(stream.c.id > bindparam("after")).order_by(stream.c.id).limit(STREAMS))
# A websocket never sends an event: it is told that there are some.
_NEEDED = (select(func.min(_c.accepted)).join(subscription, subscription.c.key == _c.subscription_key)
           .where(_c.stream_id == bindparam("stream_id"), ~_c.parked, subscription.c.push,
                  or_(_c.until.is_(None), _c.accepted < _c.until)))
_OLD = (select(_e.number).where(_e.stream_id == bindparam("stream_id"), _e.number <= bindparam("last"),
                                _e.created_at < bindparam("cutoff")).order_by(_e.number).limit(bindparam("limit")))
_FORGET_EVENTS = delete(event).where(_e.stream_id == bindparam("stream_id"), _e.number <= bindparam("last"))

_reached = bindparam("reached")
_ITS = _c.stream_id == bindparam("of_stream")
_DONE = and_(_c.until <= _reached, _c.accepted >= _c.until)
_TOUCHED = select(_c.key).where(_ITS, or_(_c.accepted < _reached, _DONE))
_HOLD = select(_c.key).where(within(_c.key, "keys")).with_for_update(skip_locked=True)
_MOVE = update(cursor).where(within(_c.key, "keys"), _c.accepted < _reached).values(
    accepted=case((_c.until < _reached, _c.until), else_=_reached))
_FORGET_CURSORS = delete(cursor).where(_ITS, _DONE)

_UNUSED = and_(change.c.matched, change.c.type.not_in(_KEPT_TYPES), ~exists().where(_e.change_seq == change.c.seq))
_CHANGES = (select(change.c.seq, change.c.recorded_at, _UNUSED.label("unused")).where(change.c.seq > bindparam("after"))
            .order_by(change.c.seq).limit(BATCH))
_FORGET_CHANGES = delete(change).where(within(change.c.seq, "seqs"))
