"""What the outcome of an attempt does: the cursor moves on, or the subscription waits, or it is switched off.

Spec: https://hl7.org/fhir/R4/subscription.html#status
"""
from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from datetime import datetime, timedelta
from typing import NamedTuple

from ..store.holding import hold
from ..subscriptions.status import set_status, unusable
from . import aside, backlog, claims
from .acceptance import accept
from .attempts import MAX_ERROR_CHARACTERS, log_attempts, row
from .channels import GiveUp, SetAside, TryLater
from .flights import Flight
from .retry import LONGEST_S

log = logging.getLogger(__name__)

PARKED = "what waited is parked: request the Subscription again, then $replay it with parked=true"
UNTRIED_S = 1.0  # pause of a channel that could not even try, and does not say for how long


class Outcome(NamedTuple):
    """What came of an attempt.

    :param error: None when the channel has accepted the notification
    :param took_ms: from sending to the answer
    :param status: HTTP status, if there was one
    """

    flight: Flight
    error: BaseException | None
    took_ms: int = 0
    status: int | None = None

    @property
    def tried(self):
        """Whether it counts as an attempt: not what was broken off by ourselves, or not even begun."""
        return not isinstance(self.error, CancelledError) and getattr(self.error, "attempted", True)

    @property
    def kind(self):
        """``accepted``, or the class of the failure: timeout, status…; a foreign channel names its own, or none."""
        if self.error is None:
            return "accepted"
        known = isinstance(self.error, (TryLater, GiveUp))
        return str(self.error.error or "channel")[:MAX_ERROR_CHARACTERS] if known else "exception"


def lock_subscriptions(tx, outcomes):
    """Lock the resources whose status may change, in one order for all, before anything else is locked."""
    names = {("Subscription", outcome.flight.lease.id) for outcome in outcomes if _touches_status(outcome)}
    if names:
        hold(tx, names)


class Settled(NamedTuple):
    """What is to be done next.

    :param free: leases to go on with
    :param grounded: ``{key: due_at}`` of leases that are put off once the rest of their flights has landed
    :param retry_at: earliest time of a retry; None: there is none
    """

    free: list
    grounded: dict
    retry_at: datetime | None


def settle(tx, outcomes, leases, flights, schedule, config, *, now):
    """Write down what came of attempts whose leases are still held; outcomes without a lease change nothing.

    :param leases: ``{key: Lease}`` as they stand now
    :param flights: :class:`~fhirsub.delivery.flights.Flights` with those that have landed
    :param schedule: :class:`~fhirsub.delivery.retry.Schedule`
    :returns: :class:`Settled`
    """
    outcomes = [_known(outcome) for outcome in outcomes if outcome.flight.lease.key in leases]
    # Those that were grounded, unless their owner has asked for them anew since.
    due_at = {key: at for key, at in flights.grounded.items() if key in leases and leases[key].attempts}
    moved = accept(tx, {outcome.flight: _logged(outcome) for outcome in outcomes if outcome.error is None})
    mended = moved - due_at.keys()  # what has failed beside the accepted ones still has to be tried again
    claims.forget_failures(tx, [key for key in mended if leases[key].attempts])
    for key in mended:
        _mend(tx, leases[key], now)
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    failed = [outcome for outcome in failed if not _set_aside(tx, outcome, leases, due_at, schedule, now)]
    for outcome in failed:
        lease = leases[outcome.flight.lease.key]
        if not _counted(outcome, lease, due_at):
            lease.attempts, due_at[lease.key] = _fail(tx, outcome, lease, schedule, config, now)
    log_attempts(tx, [_logged(outcome, due_at.get(outcome.flight.lease.key)) for outcome in failed if outcome.tried])
    keys = {outcome.flight.lease.key for outcome in outcomes}
    under_way = flights.besides([outcome.flight for outcome in outcomes], keys)
    return _release(tx, keys, leases, due_at, under_way)


def _set_aside(tx, outcome, leases, due_at, schedule, now):
    """Whether the event was given up, so that the next can be sent."""
    lease = leases[outcome.flight.lease.key]
    hopeless = not _counted(outcome, lease, due_at) and aside.is_hopeless(outcome, lease, schedule)
    if hopeless:
        aside.park(tx, outcome, lease, _logged(outcome), now=now)
    return hopeless


def _counted(outcome, lease, due_at):
    """Whether another one that was under way at the same time has failed before: together they count once."""
    return lease.key in due_at and outcome.flight.lease.attempts < lease.attempts


def _release(tx, keys, leases, due_at, under_way):
    """Put off what has failed, as soon as nothing is under way for it any more."""
    failed = {key: leases[key].attempts for key in keys if key in due_at}
    grounded = {key: due_at[key] for key in failed if key in under_way}
    claims.count_failures(tx, {key: failed[key] for key in grounded})
    put_off = [(key, attempts, due_at[key]) for key, attempts in failed.items() if key not in grounded]
    claims.put_off_failed(tx, put_off)
    retries = [at for _, _, at in put_off if at is not None]
    return Settled([leases[key] for key in keys if key not in due_at], grounded, min(retries, default=None))


def _touches_status(outcome):
    resource = outcome.flight.lease.resource
    return outcome.error is not None and outcome.tried or resource["status"] == "error"


def _mend(tx, lease, now):
    lease.attempts = 0
    if lease.resource is not None and lease.resource["status"] == "error" and not unusable(lease.resource):
        set_status(tx, lease.id, "active", None, now=now)


def _fail(tx, outcome, lease, schedule, config, now):
    """What a failed attempt does: ``(attempts, due_at)``."""
    sent, error = outcome.flight.lease, outcome.error
    # Broken off by ourselves, or its owner has changed the Subscription meanwhile: nobody's failure, so once more.
    if isinstance(error, CancelledError) or lease.version_id != sent.version_id:
        return lease.attempts, now
    if not outcome.tried:
        return lease.attempts, now + timedelta(seconds=_untried_s(error.after_s))
    attempts = lease.attempts + 1
    pause_s = None if isinstance(error, GiveUp) else _pause_s(schedule, attempts, error)
    why = f"after {attempts} attempts" if pause_s is None else _too_much(tx, outcome.flight, config, now)
    if isinstance(error, GiveUp) or why:
        off = "switched off" if isinstance(error, GiveUp) else f"switched off {why}"
        set_status(tx, lease.id, "off", f"{error.reason}; {off}; {PARKED}", now=now)
        return 0, None
    if not unusable(lease.resource):
        set_status(tx, lease.id, "error", error.reason, now=now)
    return attempts, now + timedelta(seconds=pause_s)


def _untried_s(after_s):
    # A host application's channel may name any time; one beyond all dates would stop every other channel too.
    return UNTRIED_S if after_s is None else min(max(0.0, after_s), LONGEST_S)


def _pause_s(schedule, attempts, error):
    # Time heals an endpoint, but no event: the others shall not wait for it longer than they must.
    return schedule.pause_s(1 if isinstance(error, SetAside) else attempts, error.after_s, error.throttled)


def _too_much(tx, flight, config, now):
    """Why a Subscription that fails has too much waiting to go on; None if it has not."""
    if flight.manual:
        return None  # what is replayed is old
    if now - flight.happened_at > timedelta(days=config.max_backlog_days):
        return f"with events waiting for more than {config.max_backlog_days} days"
    count = backlog.waiting(tx, flight.lease.id)
    if count > config.max_backlog_events:
        return f"with {count} events waiting, and {config.max_backlog_events} may"
    return None


def _known(outcome):
    """With an error that the schedule understands; what a channel did not mean to raise is logged."""
    error = outcome.error
    if error is None or isinstance(error, (TryLater, GiveUp, CancelledError)):
        return outcome
    log.error("the channel of Subscription/%s failed", outcome.flight.lease.id, exc_info=error)
    return outcome._replace(error=TryLater(error="exception"))


def _logged(outcome, next_at=None):
    """The row of the attempt log."""
    return row(outcome.flight, took_ms=outcome.took_ms, status=outcome.status, error=outcome.error and outcome.kind,
               next_at=next_at)
