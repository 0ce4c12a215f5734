"""The dispatcher: claims due subscriptions, sends each one's next event, and moves its cursor once that is accepted.

A round is one transaction for everything at hand: what came back is settled, what is due is claimed, and the next
events are loaded. Then they are sent, many at once but one per subscription, and the dispatcher sleeps until an answer,
a hint or a due time wakes it.
"""
from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import cached_property, partial

from ..errors import StorageError
from . import backlog, claims
from .channels import TryLater
from ..store.owner import owner_token
from .retry import Schedule
from .sender import Sender
from .settlement import Outcome, lock_subscriptions, settle
from .sweep import sweep

log = logging.getLogger(__name__)

CLAIM_BATCH = 64             # a transaction that claims more keeps the writers of SQLite waiting
DRAIN_S = 10.0               # what is under way when it is stopped may finish for this long
PAUSE_AFTER_FAILURE_S = 1.0
BUSY_S = 0.005               # until a row is looked at again that another transaction had locked
LEASE_MARGIN_S = 10.0        # a lease outlives an attempt by this, so that one in flight is never claimed by another


class Dispatcher:
    """Runs in a thread of its own, in any number of processes.

    :param now: callable giving the time, aware UTC
    :param channels: ``{channel type: channel}``, see :class:`~fhirsub.delivery.channels.Channel`
    :param vault: :class:`~fhirsub.subscriptions.secrets.Vault`
    """

    def __init__(self, database, config, *, now, channels, vault):
        self.database, self.config, self.now, self.vault = database, config, now, vault
        self.schedule, self.sender = Schedule(config), Sender(channels)
        self.lease_s = max(config.lease_s, config.attempt_timeout_s + LEASE_MARGIN_S)
        self._flights, self._landed = {}, deque()
        self._wake, self._stopping = threading.Event(), threading.Event()
        # Look for due subscriptions now, or at a time; the sweep goes by a clock that nobody sets.
        self._hinted, self._look_at, self._sweep_at = True, None, time.monotonic()

    @cached_property
    def owner(self):
        """Names this dispatcher's leases; found out by the process that runs it, which may be a fork of its maker."""
        return owner_token()

    def run(self):
        """Deliver until :meth:`stop`; then let what is under way finish and give the rest back."""
        threading.Thread(target=self._listen, name="fhirsub-due", daemon=True).start()
        while not self._stopping.is_set():
            self._wake.wait(self._attempt(self.step))
            self._wake.clear()
        self._drain()

    def stop(self):
        """End :meth:`run`: nothing new is sent from now on."""
        self._stopping.set()
        self._wake.set()
        self.database.hints.wake("due")

    def hint(self):
        """Something may be due: look at once."""
        self._hinted = True
        self._wake.set()

    @property
    def in_flight(self):
        """How many notifications are under way."""
        return len(self._flights)

    def step(self):
        """Sweep if it is time, and do a round if there is anything to do.

        :returns: seconds until the next step, unless something wakes it
        """
        if time.monotonic() >= self._sweep_at:
            self._sweep_at = time.monotonic() + min(self.config.sweep_s, self.lease_s / 3)
            self._look(sweep(self.database, self.owner, self._flights, now=self.now(), lease_s=self.lease_s))
        if self._look_at is not None and self._look_at <= self.now():
            self._hinted = True
        wait_s = self._round() if self._hinted or self._landed else self.config.sweep_s
        return max(0.0, min(wait_s, self._sweep_at - time.monotonic(), self._until_look_s()))

    def _round(self):
        """Settle, claim, load, commit; then send. Returns seconds to wait if nothing wakes it."""
        now, outcomes, hinted = self.now(), list(self._landed), self._hinted
        self._hinted = False
        try:
            with self.database.write() as tx:
                lock_subscriptions(tx, outcomes)
                claimed = self._claim(tx, now) if hinted else set()
                keys = {outcome.flight.lease.key for outcome in outcomes}
                leases, busy = claims.held(tx, self.owner, claimed | keys)
                free, retry_at = settle(tx, outcomes, leases, self.schedule, now=now)
                flights, errors = self._next(tx, free + [leases[key] for key in claimed if key in leases], now)
        except BaseException:
            if hinted:
                self._hinted = True
            raise
        self._settled(outcomes, busy)
        self._look(retry_at)
        self._send(flights, errors)
        return BUSY_S if busy else 0 if self._hinted and self._room() else self.config.sweep_s

    def _claim(self, tx, now):
        """Claim what is due, as far as there is room."""
        limit = min(self._room(), CLAIM_BATCH)
        claimed = claims.claim(tx, self.owner, now=now, limit=limit, lease_s=self.lease_s) if limit else []
        if len(claimed) == limit:
            self._hinted = True  # there may be more
        elif self._look_at is not None and self._look_at <= now:
            self._look_at = claims.next_due(tx, now)
        # One that is in flight here was claimed anew because its lease had run out: now that has been prolonged.
        return set(claimed) - self._flights.keys()

    def _room(self):
        return 0 if self._stopping.is_set() else max(0, self.config.in_flight - len(self._flights))

    def _next(self, tx, leases, now):
        if self._stopping.is_set():
            claims.put_off(tx, [lease.key for lease in leases], due_at=now)
            return [], []
        return backlog.take_off(tx, leases, self.vault, now=now)

    def _settled(self, outcomes, busy):
        for outcome in outcomes:
            self._landed.popleft()
            if outcome.flight.lease.key in busy:
                self._landed.append(outcome)
            else:
                del self._flights[outcome.flight.lease.key]

    def _send(self, flights, errors):
        for flight in flights:
            self._flights[flight.lease.key] = flight
            self.sender.send(flight.notification).add_done_callback(partial(self._land, flight))
        for flight, error in errors:
            self._flights[flight.lease.key] = flight
            self._landed.append(Outcome(flight, TryLater(reason=str(error))))
            self._wake.set()

    def _land(self, flight, sent):
        self._landed.append(Outcome(flight, sent.exception()))
        self._wake.set()

    def _look(self, at):
        if at is not None and (self._look_at is None or at < self._look_at):
            self._look_at = at

    def _until_look_s(self):
        if self._look_at is None or not self._room():
            return self.config.sweep_s
        return (self._look_at - self.now()).total_seconds()

    def _listen(self):
        hints = self.database.hints
        seen = hints.seen("due")
        while not self._stopping.is_set():
            told = hints.wait("due", seen, self.config.sweep_s)
            if told != seen:
                seen = told
                self.hint()

    def _attempt(self, step):
        try:
            return step()
        except StorageError:
            log.warning("the dispatcher cannot reach the database; it tries again")
        except Exception:
            log.exception("a round of the dispatcher failed; it tries again")
        return PAUSE_AFTER_FAILURE_S

    def _drain(self):
        deadline = time.monotonic() + DRAIN_S
        while self._flights and time.monotonic() < deadline:
            if self._landed:
                self._attempt(self._round)
            self._wake.wait(0.1)
            self._wake.clear()
        self._attempt(self._give_back)
        self.sender.close()

    def _give_back(self):
        with self.database.write() as tx:
            leases, _ = claims.held(tx, self.owner, list(self._flights))
            claims.put_off(tx, leases, due_at=self.now())
