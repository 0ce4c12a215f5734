"""The tail: follows the ends of streams for the sockets of this process and tells each how many events are new.

A socket is a reader of the event log, not something that a worker pushes to: so it works across processes, and a
client that comes back is told what it missed.
"""
from __future__ import annotations

import logging
import threading
from datetime import timedelta

from ..errors import StorageError
from .readers import Readers
from .standing import accept, moved, standings

log = logging.getLogger(__name__)

SWEEP_S = 1.0   # a Subscription that is off or deleted is told within 2 s, without any hint
LOOK_S = 0.05   # how often a bind is tried again that came before the matcher met its Subscription …
GRACE_S = 1.0   # … and when it is refused; every refusal takes this long, so the time tells nothing either
ACCEPT_S = 0.5  # cursors are moved this often: each move is a transaction that writers would wait for
IDLE_S = 3600.0  # nobody is bound: the next bind wakes the tail


class Tail:
    """Runs in a thread of its own in every process that serves websockets.

    :param now: callable giving the time
    """

    def __init__(self, database, config, now):
        self.database, self.now = database, now
        self.sweep_s = min(SWEEP_S, config.sweep_s)
        self._readers = Readers()
        self._pinged = {}  # {subscription key: event number} that the cursors are to be moved to
        self._lock = threading.Lock()
        self._swept_at = self._accepted_at = now()
        self._stop = threading.Event()

    def join(self, reader):
        """Have the reader's listener called with ``bound`` or ``refused``, then with ``news`` until it leaves."""
        reader.joined_at = self.now()
        self._readers.add(reader)
        self._wake()

    def leave(self, reader):
        """Stop calling the listener of this reader; leaving twice is fine."""
        self._readers.discard(reader)

    def pinged(self, reader, number):
        """A client was pinged for the events up to ``number``: none of its sockets missed them."""
        with self._lock:
            self._pinged[reader.key] = max(number, self._pinged.get(reader.key, 0))

    def run(self):
        """Follow the log until :meth:`stop`; sleeps until events are appended, and sweeps for a lost wake-up."""
        while not self._stop.is_set():
            seen = self.database.hints.seen("event")
            try:
                pause_s = self.step()
            except StorageError as error:
                log.warning("sockets hear of no events while the database is unreachable: %s", error)
                pause_s = self.sweep_s
            except Exception:
                log.exception("the tail failed; it tries again")
                pause_s = self.sweep_s
            if not self._stop.is_set():
                self.database.hints.wait("event", seen, pause_s)
        self._accept(self.now())

    def stop(self):
        """Let the step at hand finish, then end :meth:`run`."""
        self._stop.set()
        self._wake()

    def step(self):
        """Tell every reader once what is new for it.

        :returns: seconds until the next step, if no hint comes first
        """
        now = self.now()
        if self._readers.waiting():
            self._accept(now)  # a client that comes back must not be told again what it was just pinged for
        if self._readers:
            self._look(now)
        if _passed(self._accepted_at, now, ACCEPT_S):
            self._accept(now)
        if self._readers.waiting():
            return LOOK_S
        return self.sweep_s if self._readers or self._pinged else IDLE_S

    def _look(self, now):
        with self.database.read() as tx:
            ids = self._ids_to_look_at(tx, now)
            found = standings(tx, ids, now=now) if ids else {}
        for subscription_id in ids:
            standing = found.get(subscription_id)
            self._readers.follow(subscription_id, standing.heads if standing else {})
            for reader in self._readers.of(subscription_id):
                self._tell(reader, standing, now)

    def _ids_to_look_at(self, tx, now):
        """The Subscriptions with new readers or new events, at every sweep all: some may be off, or ask anew."""
        if _passed(self._swept_at, now, self.sweep_s):
            self._swept_at = now
            return self._readers.ids()
        heads = self._readers.heads()
        return self._readers.waiting() | self._readers.followers(moved(tx, heads) if heads else ())

    def _tell(self, reader, standing, now):
        if standing is None:
            self._tell_gone(reader, now)
        elif reader.number is None:
            reader.key, reader.number = standing.key, standing.number
            reader.listener.bound(reader, standing.behind)
        elif standing.number > reader.number:
            count, reader.number = standing.number - reader.number, standing.number
            reader.listener.news(reader, count)

    def _tell_gone(self, reader, now):
        if reader.number is not None:
            self.leave(reader)
            reader.listener.ended(reader)
        elif _passed(reader.joined_at, now, GRACE_S):
            self.leave(reader)
            reader.listener.refused(reader)

    def _accept(self, now):
        with self._lock:
            pinged, self._pinged = self._pinged, {}
        self._accepted_at = now
        try:
            if pinged:
                with self.database.write() as tx:
                    accept(tx, pinged)
        except StorageError as error:
            # Not worth a retry: a client that binds again is pinged once too often.
            log.warning("cursors of websocket subscriptions were not moved: %s", error)

    def _wake(self):
        self.database.hints.wake("event")


def _passed(since, now, seconds):
    return abs(now - since) >= timedelta(seconds=seconds)  # a clock set back must not stop anything
