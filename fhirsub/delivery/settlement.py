"""What the outcome of an attempt does: the cursor moves on, or the subscription waits, or it is switched off.

Spec: https://hl7.org/fhir/R4/subscription.html#status
"""
from __future__ import annotations

import logging
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import NamedTuple

from ..store import versions
from ..subscriptions.status import set_status
from . import backlog, claims
from .backlog import Flight
from .channels import GiveUp, TryLater

log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """``error`` is None when the channel has accepted the notification."""

    flight: Flight
    error: BaseException | None


def lock_subscriptions(tx, outcomes):
    """Lock the resources whose status may change, in one order for all, before anything else is locked."""
    for id in sorted({outcome.flight.lease.id for outcome in outcomes if _touches_status(outcome)}):
        versions.lock(tx, "Subscription", id)


def settle(tx, outcomes, leases, schedule, *, now):
    """Write down what came of attempts whose leases are still held; outcomes without a lease change nothing.

    :param leases: ``{key: Lease}`` as they stand now
    :param schedule: :class:`~fhirsub.delivery.retry.Schedule`
    :returns: ``(leases to go on with, earliest time of a retry or None)``
    """
    outcomes = [outcome for outcome in outcomes if outcome.flight.lease.key in leases]
    accepted = [flight for flight, error in outcomes if error is None]
    backlog.accept(tx, accepted)
    mended = [leases[flight.lease.key] for flight in accepted if leases[flight.lease.key].attempts]
    claims.forget_failures(tx, [lease.key for lease in mended])
    for flight in accepted:
        _mend(tx, leases[flight.lease.key], now)
    failed = [_fail(tx, outcome, leases[outcome.flight.lease.key], schedule, now)
              for outcome in outcomes if outcome.error is not None]
    claims.put_off_failed(tx, failed)
    retries = [due_at for _, _, due_at in failed if due_at is not None]
    return [leases[flight.lease.key] for flight in accepted], min(retries, default=None)


def _touches_status(outcome):
    resource = outcome.flight.lease.resource
    return outcome.error is not None or resource["status"] == "error"


def _mend(tx, lease, now):
    lease.attempts = 0
    if lease.resource is not None and lease.resource["status"] == "error":
        set_status(tx, lease.id, "active", None, now=now)


def _fail(tx, outcome, lease, schedule, now):
    """The row of a failed attempt: ``(key, attempts, due_at)``."""
    sent, error = outcome.flight.lease, _known(outcome)
    # Broken off by ourselves, or its owner has changed the Subscription meanwhile: nobody's failure, so once more.
    if isinstance(error, CancelledError) or lease.version_id != sent.version_id:
        return lease.key, lease.attempts, now
    attempts = lease.attempts + 1
    pause_s = None if isinstance(error, GiveUp) else schedule.pause_s(attempts, error.after_s, error.throttled)
    if pause_s is None:
        tried = "" if isinstance(error, GiveUp) else f"; switched off after {attempts} attempts"
        set_status(tx, lease.id, "off", f"{error.reason}{tried}", now=now)
        return lease.key, 0, None
    set_status(tx, lease.id, "error", error.reason, now=now)
    return lease.key, attempts, now + timedelta(seconds=pause_s)


def _known(outcome):
    """The error as one that the schedule understands; what a channel did not mean to raise is logged."""
    error = outcome.error
    if isinstance(error, (TryLater, GiveUp, CancelledError)):
        return error
    log.error("the channel of Subscription/%s failed", outcome.flight.lease.id, exc_info=error)
    return TryLater()
