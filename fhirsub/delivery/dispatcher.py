"""The dispatcher: claims due subscriptions, sends each one's next event, and moves its cursor once that is accepted.

A round is one transaction for everything at hand: what came back is settled, what is due is claimed, and the next
events are loaded. Then they are sent, many at once but one of a subscription unless it asks for more, and the
dispatcher sleeps until an answer, a hint or a due time wakes it.
"""
from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from functools import cached_property, partial

from ..errors import StorageError
from . import backlog, claims
from .flights import Flights
from ..store.owner import owner_token
from .retry import LONGEST_ASKED_S, Schedule
from .sender import Sender
from .settlement import Outcome, lock_subscriptions, settle
from .sweep import sweep

log = logging.getLogger(__name__)

CLAIM_BATCH = 64             # a transaction that claims more keeps the writers of SQLite waiting
DRAIN_S = 10.0               # what is under way when it is stopped may finish for this long
PAUSE_AFTER_FAILURE_S = 1.0
BUSY_S = 0.005               # until a row is looked at again that another transaction had locked
SET_BACK_S = 30.0            # a clock that was set back by less delays nothing by more
SPREAD_S = 10.0              # retries that came due while nobody ran are spread over this
LEASE_MARGIN_S = 10.0        # a lease outlives an attempt by this, so that one in flight is never claimed by another


class Dispatcher:
    """Runs in a thread of its own, in any number of processes.

    :param now: callable giving the time, aware UTC
    :param channels: ``{channel type: channel}``, see :class:`~fhirsub.delivery.channels.Channel`
    :param vault: :class:`~fhirsub.subscriptions.secrets.Vault`
    """

    def __init__(self, database, config, *, now, channels, vault):
        self.database, self.config, self.now, self.vault = database, config, now, vault
        self.schedule, self.sender = Schedule(config), Sender(channels, config.channel_timeout_s)
        self.lease_s = max(config.lease_s, config.attempt_timeout_s + LEASE_MARGIN_S)
        self.longest_s = max([self.lease_s, LONGEST_ASKED_S, self.schedule.floor_s,
                              *(2 * pause_s for pause_s in self.schedule.pauses_s)])
        self.outcomes = Counter()  # attempts so far, by what came of them
        self._flights, self._landed = Flights(), deque()
        self._wake, self._stopping = threading.Event(), threading.Event()
        # Look for due subscriptions now, or at a time; the sweep goes by a clock that nobody sets.
        self._hinted, self._look_at, self._sweep_at = True, None, time.monotonic()
        self._lead_s = _lead_s(now())

    @cached_property
    def owner(self):
        """Names this dispatcher's leases; found out by the process that runs it, which may be a fork of its maker."""
        return owner_token()

    def run(self):
        """Deliver until :meth:`stop`; then let what is under way finish and give the rest back."""
        threading.Thread(target=self._listen, name="fhirsub-due", daemon=True).start()
        self._attempt(self.spread)
        while not self._stopping.is_set():
            self._wake.wait(self._attempt(self.step))
            self._wake.clear()
        self._drain()

    def spread(self):
        """Keep the retries that came due while nobody ran from going out all at once.

        The leases of dispatchers that died may reach far ahead, if the clock was set back since.
        """
        now = self.now()
        with self.database.write() as tx:
            claims.spread(tx, now=now, over_s=SPREAD_S)
            claims.shorten_leases(tx, now=now, lease_s=self.lease_s)

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
            self._sweep(self.now())
        if self._look_at is not None and self._look_at <= self.now():
            self._hinted = True
        wait_s = self._round() if self._hinted or self._landed else self.config.sweep_s
        return max(0.0, min(wait_s, self._sweep_at - time.monotonic(), self._until_look_s()))

    def _sweep(self, now):
        self._sweep_at = time.monotonic() + min(self.config.sweep_s, self.lease_s / 3)
        self._hinted |= bool(self._flights.extensible())  # of events that came meanwhile nobody hears a hint
        lead_s = _lead_s(now)
        if lead_s < self._lead_s - SET_BACK_S:
            self._clock_set_back(now)
        self._lead_s = lead_s
        self._look(sweep(self.database, self.owner, self._flights.keys(), now=now, lease_s=self.lease_s,
                         longest_s=self.longest_s))

    def _clock_set_back(self, now):
        with self.database.write() as tx:
            claims.shorten_leases(tx, now=now, lease_s=self.lease_s)
            claims.shorten_pauses(tx, now=now, pauses_s=self.schedule.pauses_s)
        self._flights.grounded = {key: at and now for key, at in self._flights.grounded.items()}

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
                settled = settle(tx, outcomes, leases, self._flights, self.schedule, self.config, now=now)
                free = settled.free + [leases[key] for key in claimed - keys if key in leases]
                flights, errors = self._next(tx, free, outcomes, now)
        except BaseException:
            if hinted:
                self._hinted = True
            raise
        self._settled(outcomes, busy)
        self._flights.grounded |= settled.grounded
        self._look(settled.retry_at)
        self._send(flights, errors)
        return BUSY_S if busy else 0 if self._hinted and self._room() else self.config.sweep_s

    def _claim(self, tx, now):
        """Claim what is due, as far as there is room, with what is held and may have more under way."""
        limit = min(self._room(), CLAIM_BATCH)
        claimed = claims.claim(tx, self.owner, now=now, limit=limit, lease_s=self.lease_s) if limit else []
        if len(claimed) == limit:
            self._hinted = True  # there may be more
        elif self._look_at is not None and self._look_at <= now:
            self._look_at = claims.next_due(tx, now)
        # One that is in flight here was claimed anew because its lease had run out: now that has been prolonged.
        return set(claimed) - self._flights.keys() | (self._flights.extensible() if limit else set())

    def _room(self):
        return 0 if self._stopping.is_set() else max(0, self.config.in_flight - len(self._flights))

    def _next(self, tx, leases, outcomes, now):
        landed, keys = [outcome.flight for outcome in outcomes], [lease.key for lease in leases]
        under_way = self._flights.besides(landed, keys)
        if self._stopping.is_set():
            claims.put_off(tx, [key for key in keys if key not in under_way], due_at=now)
            return [], []
        return backlog.take_off(tx, leases, self.vault, under_way, room=self._room() - len(leases), now=now)

    def _settled(self, outcomes, busy):
        for outcome in outcomes:
            self._landed.popleft()
            if outcome.flight.lease.key in busy:
                self._landed.append(outcome)
                continue
            self._flights.remove(outcome.flight)
            if outcome.tried:
                self.outcomes[outcome.kind] += 1

    def _send(self, flights, errors):
        for flight in flights:
            self._flights.add(flight)
            self.sender.send(flight.notification).add_done_callback(partial(self._land, flight))
        for flight, error in errors:
            self._flights.add(flight)
            self._landed.append(Outcome(flight, error))
            self._wake.set()

    def _land(self, flight, sent):
        error = sent.exception()
        status = getattr(sent.result() if error is None else error, "status", None)
        took_ms = round((time.monotonic() - flight.started_s) * 1000)
        # What a host application's channel raises may have a status of another kind.
        self._landed.append(Outcome(flight, error, took_ms, status if status in range(100, 600) else None))
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
            leases, _ = claims.held(tx, self.owner, self._flights.keys())
            claims.put_off(tx, leases, due_at=self.now())


def _lead_s(now):
    """How far the clock is ahead of one that nobody sets, in seconds."""
    return now.timestamp() - time.monotonic()
