"""The matcher: takes pending changes in order and appends an event to every stream that they match.

One batch is one transaction: events, marks and due subscriptions appear together or not at all, so that matching
happens exactly once however often a process is killed.
"""
from __future__ import annotations

import logging
import threading
from datetime import timedelta
from itertools import groupby

from sqlalchemy import select

from ..errors import StorageError
from ..store import changes
from ..store.hints import is_announced
from ..store.owner import owner_token
from ..store.tables import cursor, subscription
from . import arrivals, definitions, lease, periodic, streams, switch
from .gathering import gather
from .index import Index
from .status import set_status
from .topics import Topics

log = logging.getLogger(__name__)

SWITCHED = ("Subscription", "EventDefinition")

LEASE_S = 2.5  # with a sweep on top, another process takes over within 5 s of a kill
PAUSE_AFTER_FAILURE_S = 1.0
LOOK_AT_CLOCK_S = 1.0  # while changes keep coming: one more query in each batch would slow all of them down
LONG_S = 1.0  # on SQLite whoever writes waits for the end of a batch, and conditions may be costly
SHORTEST_PAUSE_S = 0.05  # a time has come, and whoever holds the lease has not fired it yet


class Matcher:
    """Runs in a thread of its own, in any number of processes; one at a time holds the lease.

    :param now: callable giving the time
    """

    def __init__(self, database, config, *, now):
        self.database, self.config, self.now = database, config, now
        self.owner, self.index, self.topics = owner_token(), Index(), Topics()
        self._expansions = {}
        self._pause_s, self._look_at = config.sweep_s, now()
        self._stop = threading.Event()

    def run(self):
        """Match until :meth:`stop`; sleeps until a change is recorded or a topic's time has come.

        Every SWEEP_S it looks for what a lost wake-up left behind.
        """
        hints, hinted = self.database.hints, True
        while not self._stop.is_set():
            seen = hints.seen("change")
            try:
                matched = self.step() if hinted or self._is_due() else 0
                hinted = matched > 0 or hints.wait("change", seen, max(self._pause_s, SHORTEST_PAUSE_S)) != seen
            except StorageError:
                log.warning("the matcher cannot reach the database; it tries again")
                self._stop.wait(PAUSE_AFTER_FAILURE_S)
            except Exception:
                log.exception("a batch was not matched; the matcher tries again")
                self._stop.wait(PAUSE_AFTER_FAILURE_S)
        self._let_go()

    def stop(self):
        """Let the batch at hand finish, then end :meth:`run`."""
        self._stop.set()
        self.database.hints.wake("change")

    def step(self):
        """Match one batch of pending changes.

        :returns: how many, 0 when there are none or another process is at it; the part of a large one counts as one
        """
        now = self.now()
        with self.database.write() as tx:
            if not lease.take(tx, "matcher", self.owner, now=now, lease_s=LEASE_S):
                return 0
            if now >= self._look_at:
                periodic.fire(tx, self.topics, now=now)
                self._plan(tx, now)
            batch = changes.pending(tx, self.config.match_batch)
            matched = self._match(tx, batch, now) if batch else []
            if matched:
                changes.mark(tx, [change.seq for change in matched])
        return len(matched or batch[:1])

    def _is_due(self):
        with self.database.read() as tx:
            self._plan(tx, self.now())
            return self._pause_s == 0 or changes.is_pending(tx)

    def _plan(self, tx, now):
        """How long to sleep at most, and when to look next for topics whose time has come."""
        due_s = periodic.pause_s(tx, now=now)
        self._pause_s = self.config.sweep_s if due_s is None else min(due_s, self.config.sweep_s)
        self._look_at = now + timedelta(seconds=min(self._pause_s, LOOK_AT_CLOCK_S))

    def _match(self, tx, batch, now):
        """Append events and switch, in order; returns the changes done.

        Those after LONG_S wait for the next batch. So do those after one that had the status of a Subscription written:
        who holds Subscriptions to the end of a transaction locks them in the order of their ids, not of the log.
        """
        touched, matched, done = set(), [], True
        for switched, run in groupby(batch, key=_switched):
            run = list(run)
            if not definitions.is_begun(tx, run[0]):
                written = gather(tx, run, self.topics, base_url=self.config.base_url, expansions=self._expansions,
                                 enough=lambda: (self.now() - now).total_seconds() > LONG_S)
                touched |= self._append(tx, written, now)
                run, done = run[:len(written)], len(written) == len(run)
            if switched and not self._switch(tx, run, now):
                break
            matched += run
            if not done or is_announced(tx, "change"):
                break
        if touched:
            self.database.hints.announce(tx, "event")
            if streams.make_due(tx, touched, now=now):
                self.database.hints.announce(tx, "due")
        return matched

    def _append(self, tx, batch, now):
        """Append the events of changes between which nothing was switched; returns the streams touched."""
        matches, failures = self.index.match(tx, batch)
        if matches:
            streams.append(tx, matches, now=now)
        for stream_id, reason in {failure.stream_id: failure.reason for failure in failures}.items():
            self._report(tx, stream_id, reason, now)
        return {match.stream_id for match in matches}

    def _switch(self, tx, run, now):
        """Returns whether it is done; if not, the next batch goes on with the same change."""
        change, done = run[0], True
        if arrivals.is_plain(change):
            arrivals.take_in(tx, run, self.topics.finder(tx), now=now)
        elif change.type == "Subscription":
            switch.apply(tx, change, self.topics.finder(tx), now=now)
        else:
            done = definitions.apply(tx, change, self.topics, now=now)
            self._look_at = now
        self.database.hints.announce(tx, "event")  # a socket may wait for it to be switched on
        self.database.hints.announce(tx, "due")    # and events for it to work again
        return done

    def _report(self, tx, stream_id, reason, now):
        ids = select(subscription.c.id).join(cursor, cursor.c.subscription_key == subscription.c.key).where(
            cursor.c.stream_id == stream_id, cursor.c.until.is_(None))
        for (subscription_id,) in tx.execute(ids).all():
            set_status(tx, subscription_id, "error", reason, now=now)

    def _let_go(self):
        try:
            with self.database.write() as tx:
                lease.release(tx, "matcher", self.owner, now=self.now())
        except StorageError:
            pass  # it runs out by itself


def _switched(change):
    """What a change may switch on or off: itself alone (its seq), with its neighbours (``"arrivals"``), nothing (None).

    Reads and raised events switch nothing.
    """
    if change.type not in SWITCHED or change.interaction not in changes.WRITES:
        return None
    return "arrivals" if arrivals.is_plain(change) else change.seq
