"""How the whole pipeline stands, for operators: what waits, since when, and why. Nothing of what is in a resource.

Spec: https://hl7.org/fhir/R4/subscription.html#status
"""
from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, bindparam, case, func, or_, select

from ..fhir import json
from ..store.sets import within
from ..store.tables import change, cursor, event, lease, resource, search_value, stream, subscription, version


class Totals(NamedTuple):
    """Numbers that cost little to find, however many Subscriptions there are.

    :param changes: recorded so far; ``events``: appended so far
    :param pending: changes that are not matched yet
    :param due: subscriptions that a dispatcher may take now; ``retrying``: those that wait after a failed attempt
    :param oldest: when the oldest event was found that is still to be sent; None: there is none
    """

    changes: int
    events: int
    pending: int
    due: int
    retrying: int
    oldest: object


class Standing(NamedTuple):
    """A Subscription with something to tell.

    :param waiting: events still to be sent, the oldest of which was found at ``oldest``
    :param parked: events that were left when it was switched off
    :param attempts: failed ones of the oldest event; the next comes at ``due_at``, None while nothing waits or one is
        under way
    """

    id: str
    status: str
    error: str | None
    waiting: int
    parked: int
    attempts: int
    under_way: bool
    due_at: object
    oldest: object


def totals(tx, *, now):
    """Returns :class:`Totals`."""
    waiting = tx.execute(_DUE, {"now": now}).one()
    return Totals(tx.execute(select(func.max(change.c.seq))).scalar() or 0,
                  int(tx.execute(select(func.sum(stream.c.head))).scalar() or 0), tx.execute(_PENDING).scalar(),
                  int(waiting.due or 0), int(waiting.retrying or 0), tx.execute(_OLDEST).scalar())


def statuses(tx):
    """How many Subscriptions there are of each status: ``{"active": 3, "error": 1}``."""
    return {status: count for status, count in tx.execute(_STATUSES)}


def standings(tx):
    """The Subscriptions that are in error, or have events waiting or parked; those behind longest first."""
    rows = {row.id: row for row in tx.execute(_BEHIND).all()}
    failing = tx.execute(_FAILING).scalars().all()
    found = []
    for id, content in tx.execute(_RESOURCES, {"ids": rows.keys() | set(failing)}):
        stored, row = json.decode(content), rows.get(id)
        behind = (0, 0, 0, False, None, None)
        if row:
            due_at = row.due_at if row.waiting and row.lease is None else None  # else it is when the lease runs out
            behind = int(row.waiting), int(row.parked), row.attempts, row.lease is not None, due_at, row.oldest
        found.append(Standing(id, stored["status"], stored.get("error"), *behind))
    return sorted(found, key=lambda standing: (standing.oldest is None, standing.oldest, standing.id))


def matcher(tx, *, now):
    """Who matches changes: the name of its lease, ``host/pid namespace/pid-start/random``; None: nobody."""
    return tx.execute(_MATCHER, {"now": now}).scalar()


_s, _c = subscription.c, cursor.c
_NEXT = and_(event.c.stream_id == _c.stream_id, event.c.number == _c.accepted + 1, ~_c.parked)
_PENDING = select(func.count()).select_from(change).where(~change.c.matched)
_DUE = select(func.sum(case((_s.due_at <= bindparam("now"), 1), else_=0)).label("due"),
              func.sum(case((_s.attempts > 0, 1), else_=0)).label("retrying")).where(_s.due_at.is_not(None))
_OLDEST = (select(func.min(event.c.created_at)).select_from(subscription)
           .join(cursor, _c.subscription_key == _s.key).join(event, _NEXT)
           .where(_s.due_at.is_not(None), ~_c.replay, or_(_c.until.is_(None), _c.accepted < _c.until)))
_STATUSES = (select(search_value.c.value, func.count()).where(
    search_value.c.type == "Subscription", search_value.c.parameter == "status").group_by(search_value.c.value))
_FAILING = (select(resource.c.id).join(search_value, search_value.c.resource_key == resource.c.key).where(
    search_value.c.type == "Subscription", search_value.c.parameter == "status", search_value.c.value == "error"))

_left = func.coalesce(_c.until, stream.c.head) - _c.accepted
_waiting = func.sum(case((~_c.parked, _left), else_=0))
_parked = func.sum(case((_c.parked, _left), else_=0))
_BEHIND = (select(_s.id, _s.attempts, _s.lease, _s.due_at, _waiting.label("waiting"), _parked.label("parked"),
                  func.min(case((~_c.replay, event.c.created_at))).label("oldest"))
           .join(cursor, _c.subscription_key == _s.key).join(stream, stream.c.id == _c.stream_id)
           .outerjoin(event, _NEXT).where(_s.push, _left > 0).group_by(_s.id, _s.attempts, _s.lease, _s.due_at))
_RESOURCES = (select(resource.c.id, version.c.content)
              .join(version, and_(version.c.resource_key == resource.c.key,
                                  version.c.version_id == resource.c.version_id))
              .where(resource.c.type == "Subscription", ~resource.c.deleted, within(resource.c.id, "ids")))
_MATCHER = select(lease.c.owner).where(lease.c.name == "matcher", lease.c.expires_at > bindparam("now"))
