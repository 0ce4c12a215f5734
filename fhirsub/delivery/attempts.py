"""The log of attempts: what was tried to deliver each notification, and what came of it; nothing of what was sent.

Spec: https://hl7.org/fhir/R4/subscription.html#status
"""
from __future__ import annotations

from sqlalchemy import bindparam, func, insert, select

from ..store.tables import attempt, subscription

MAX_ERROR_CHARACTERS = 32  # the column's; a channel of a host application names classes of its own


def log_attempts(tx, rows):
    """Add what was tried in one round.

    :param rows: list of :func:`row`
    """
    if rows:
        tx.execute(_LOG, rows)


def row(flight, *, took_ms, status=None, error=None, next_at=None):
    """One attempt as it is logged.

    :param flight: :class:`~fhirsub.delivery.backlog.Flight`
    :param status: HTTP status, if the endpoint answered
    :param error: class of the failure, such as ``timeout``; None: accepted
    :param next_at: when it is tried again; None: it is not
    """
    sent = flight.notification
    return {"subscription_key": sent.subscription_key, "event_number": sent.event_number, "attempt": sent.attempt,
            "manual": flight.manual, "started_at": flight.started_at, "took_ms": took_ms, "status": status,
            "error": error, "next_at": next_at}


def attempts(tx, subscription_id, *, count, before=None, since=None, accepted=None, status=None):
    """A page of what was tried for one Subscription, newest first.

    :param before: key of the last row of the page before
    :param since: aware UTC; only attempts that started then or later
    :param accepted: True: only those that were accepted, False: only those that failed
    :param status: only those answered with this HTTP status
    :returns: rows of the table ``fhirsub_attempt``
    """
    found = select(attempt).join(subscription, subscription.c.key == attempt.c.subscription_key).where(
        subscription.c.id == subscription_id)
    if before is not None:
        found = found.where(attempt.c.key < before)
    if since is not None:
        found = found.where(attempt.c.started_at >= since)
    if accepted is not None:
        found = found.where(attempt.c.error.is_(None) if accepted else attempt.c.error.is_not(None))
    if status is not None:
        found = found.where(attempt.c.status == status)
    return tx.execute(found.order_by(attempt.c.key.desc()).limit(count)).all()


def recent(tx, since):
    """How many attempts started at ``since`` or later, by class of failure; None: accepted."""
    return {error: count for error, count in tx.execute(_RECENT, {"since": since})}


_LOG = insert(attempt)
_RECENT = (select(attempt.c.error, func.count()).where(attempt.c.started_at >= bindparam("since"))
           .group_by(attempt.c.error))
