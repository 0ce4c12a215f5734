"""The matcher: takes pending changes in order and appends an event to every stream that they match.

One batch is one transaction: events, marks and due subscriptions appear together or not at all, so that matching
happens exactly once however often a process is killed.
"""
from __future__ import annotations

import logging
import threading
from itertools import groupby

from sqlalchemy import select

from ..errors import FHIRSubError, StorageError
from ..fhir.search_values import SearchValues
from ..store import changes
from ..store.owner import owner_token
from ..store.tables import cursor, subscription
from . import lease, streams, switch
from .index import Index
from .status import set_status

log = logging.getLogger(__name__)

LEASE_S = 2.5  # with a sweep on top, another process takes over within 5 s of a kill
PAUSE_AFTER_FAILURE_S = 1.0


class Matcher:
    """Runs in a thread of its own, in any number of processes; one at a time holds the lease.

    :param now: callable giving the time
    """

    def __init__(self, database, config, *, now):
        self.database, self.config, self.now = database, config, now
        self.owner, self.index = owner_token(), Index()
        self._stop = threading.Event()

    def run(self):
        """Match until :meth:`stop`; sleeps until a change is recorded, and looks every SWEEP_S for a lost wake-up."""
        hints, hinted = self.database.hints, True
        while not self._stop.is_set():
            seen = hints.seen("change")
            try:
                matched = self.step() if hinted or self._is_pending() else 0
                hinted = matched > 0 or hints.wait("change", seen, self.config.sweep_s) != seen
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
        """Match one batch of pending changes; returns how many, 0 when there are none or another process is at it."""
        now = self.now()
        with self.database.write() as tx:
            if not lease.take(tx, "matcher", self.owner, now=now, lease_s=LEASE_S):
                return 0
            batch = changes.pending(tx, self.config.match_batch)
            if batch:
                self._match(tx, batch, now)
                changes.mark(tx, [change.seq for change in batch])
        return len(batch)

    def _is_pending(self):
        with self.database.read() as tx:
            return changes.is_pending(tx)

    def _match(self, tx, batch, now):
        touched = set()
        for _, run in groupby(batch, key=lambda change: change.type == "Subscription" and change.seq):
            run = list(run)
            touched |= self._append(tx, run, now)
            if run[0].type == "Subscription":
                self._switch(tx, run[0], now)
                self.database.hints.announce(tx, "event")  # a socket may wait for it to be switched on
        if touched:
            self.database.hints.announce(tx, "event")
            if streams.make_due(tx, touched, now=now):
                self.database.hints.announce(tx, "due")

    def _append(self, tx, run, now):
        """Append the events of changes between which no Subscription changed; returns the streams touched."""
        batch = [(change.seq, SearchValues(change.resource, change.base_url or self.config.base_url))
                 for change in run if change.resource is not None]
        matches, failures = self.index.match(tx, batch) if batch else ([], [])
        if matches:
            streams.append(tx, matches, now=now)
        for stream_id, _ in failures:
            self._report(tx, stream_id, now)
        return {stream_id for stream_id, _ in matches}

    def _switch(self, tx, change, now):
        try:
            with tx.begin_nested():
                switch.apply(tx, change)
        except FHIRSubError as error:  # stored by an earlier release that could evaluate it: told, never ignored
            log.error("Subscription/%s cannot be switched on: %s", change.id, error)
            set_status(tx, change.id, "error", str(error), now=now)

    def _report(self, tx, stream_id, now):
        ids = select(subscription.c.id).join(cursor, cursor.c.subscription_key == subscription.c.key).where(
            cursor.c.stream_id == stream_id, cursor.c.until.is_(None))
        for (subscription_id,) in tx.execute(ids).all():
            set_status(tx, subscription_id, "error", "the criteria could not be evaluated on a resource", now=now)

    def _let_go(self):
        try:
            with self.database.write() as tx:
                lease.release(tx, "matcher", self.owner, now=self.now())
        except StorageError:
            pass  # it runs out by itself
