"""Which dispatcher holds which subscription: leases in the database, so that any number may run against it.

A row with ``due_at <= now`` may be claimed; ``due_at`` of a claimed one is when its lease runs out. Nothing in here
waits for a row that another transaction has locked: what is busy is left for the next round, so none blocks another.
"""
from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import BigInteger, and_, bindparam, func, literal, select, type_coerce, update

from ..errors import BadRequest
from ..fhir import json
from ..fhir.instants import parse_instant
from ..store.owner import is_dead
from ..store.sets import within
from ..store.tables import EPOCH, Instant, resource, subscription, version

log = logging.getLogger(__name__)

_LIVE = ("active", "error")


@dataclass
class Lease:
    """A claimed subscription, and the Subscription resource as it stands.

    :param version_id: of the Subscription; another one later means that somebody has changed it meanwhile
    :param resource: None when it was deleted, or cannot be read
    :param following: switched on in the log of changes, and delivered by a dispatcher
    """

    key: int
    id: str
    attempts: int
    following: bool
    version_id: int | None
    resource: dict | None

    def live(self, now):
        """Whether anything may be sent for it: not off, not deleted, not past its ``end``."""
        return self._on() and not self._past_end(now)

    def ended(self, now):
        """Whether it is past its ``end``, and would be live without."""
        return self._on() and self._past_end(now)

    def _on(self):
        return self.following and self.resource is not None and self.resource["status"] in _LIVE

    def _past_end(self, now):
        return "end" in self.resource and parse_instant(self.resource["end"]) <= now


def claim(tx, owner, *, now, limit, lease_s):
    """Lease up to ``limit`` due subscriptions to one dispatcher, oldest ``due_at`` first.

    Two dispatchers never hold the same one: one ``UPDATE … RETURNING`` whose inner select skips locked rows.

    :param now: aware UTC datetime; rows with ``due_at <= now`` are due
    :param lease_s: seconds until an unfinished one is due again (its dispatcher died)
    :returns: list of keys; empty when idle
    """
    until = now + timedelta(seconds=lease_s)
    return list(tx.execute(_CLAIM, {"now": now, "limit": limit, "owner": owner, "until": until}).scalars())


def held(tx, owner, keys):
    """Lock those of ``keys`` that ``owner`` still holds, to the end of ``tx``.

    :returns: ``({key: Lease}, busy)``; busy are keys that it holds too, but that another transaction has locked now
    """
    leases = {row.key: _lease(row) for row in tx.execute(_HELD, {"keys": list(keys), "owner": owner})}
    missing = [key for key in keys if key not in leases]
    if not missing or tx.dialect.name == "sqlite":
        return leases, set()
    return leases, set(tx.execute(_STILL_MINE, {"keys": missing, "owner": owner}).scalars())


def renew(tx, owner, keys, *, now, lease_s):
    """Prolong leases whose notifications are still under way."""
    tx.execute(_RENEW, {"keys": list(keys), "owner": owner, "until": now + timedelta(seconds=lease_s)})


def put_off(tx, keys, *, due_at):
    """Give leases back; whoever is free may claim them from ``due_at`` on."""
    if keys:
        tx.execute(_PUT_OFF, {"keys": list(keys), "at": due_at})


def put_off_failed(tx, failed):
    """Give leases back after failed attempts.

    :param failed: list of ``(key, attempts so far, due_at)``; due_at None: never again by itself
    """
    if failed:
        tx.execute(_FAIL, [{"of": key, "failures": attempts, "at": due_at} for key, attempts, due_at in failed])


def count_failures(tx, failed):
    """Note failed attempts of subscriptions that are kept until the rest of what is under way for them has landed.

    :param failed: ``{key: attempts so far}``
    """
    if failed:
        tx.execute(_COUNT, [{"of": key, "failures": attempts} for key, attempts in failed.items()])


def forget_failures(tx, keys):
    """The event that failed before has been accepted: the next starts the schedule anew."""
    if keys:
        tx.execute(_FORGET, {"keys": list(keys)})


def next_due(tx, after):
    """When the next subscription becomes due after ``after``; None if none does."""
    return tx.execute(_NEXT_DUE, {"after": after}).scalar()


def dead_owners(tx, *, now, lease_s):
    """Owners of running leases whose process on this host has ended."""
    running = {"now": now, "until": now + timedelta(seconds=lease_s)}
    return [owner for owner in tx.execute(_OWNERS, running).scalars() if is_dead(owner)]


def free(tx, owners, *, now):
    """Make everything due at once that these owners held."""
    tx.execute(_FREE, {"owners": list(owners), "now": now})


def astray(tx, *, now, longest_s):
    """Whether a subscription is due later than any pause could make it: the clock was set back since."""
    return tx.execute(_ASTRAY, {"latest": now + timedelta(seconds=longest_s)}).first() is not None


def pull_back(tx, *, now, longest_s):
    """Make those due at once that are due later than any pause could make them, whoever held them."""
    tx.execute(_PULL_BACK, {"latest": now + timedelta(seconds=longest_s), "now": now})


def spread(tx, *, now, over_s):
    """Spread the retries out that came due more than ``over_s`` ago, while no dispatcher ran."""
    overdue = _unlocked(_s.due_at < now - timedelta(seconds=over_s), _s.attempts > 0, _s.lease.is_(None))
    tx.execute(update(subscription).where(overdue).values(due_at=_scattered(now, over_s)))


def shorten_leases(tx, *, now, lease_s):
    """Let no lease run longer than if it began now: one that does was taken before the clock was set back."""
    tx.execute(_SHORTEN, {"until": now + timedelta(seconds=lease_s)})


def shorten_pauses(tx, *, now, pauses_s):
    """Let no pause last longer than if it began now, as the clock was set back. Any number of dispatchers may do this.

    What an endpoint asked for beyond its pause is forgotten.

    :param pauses_s: after one failed attempt, after two, …
    """
    for attempts, pause_s in enumerate([0.0, *pauses_s]):
        late = _unlocked(_s.due_at > now + timedelta(seconds=pause_s), _s.attempts == attempts, _s.lease.is_(None))
        tx.execute(update(subscription).where(late).values(due_at=_scattered(now, pause_s)))


def ended(tx, now):
    """Ids of Subscriptions that are past their ``end``."""
    return sorted(tx.execute(_ENDED, {"now": now}).scalars())


def forget_ends(tx, ids, *, now):
    """Their ends have been seen to; an end that was set anew meanwhile stays."""
    tx.execute(_FORGET_ENDS, {"ids": list(ids), "now": now})


def _lease(row):
    return Lease(row.key, row.id, row.attempts, row.active and row.push, row.version_id, _resource(row))


def _resource(row):
    """None also if it is damaged: what waits for one Subscription never stops the others."""
    try:
        return None if row.content is None else json.decode(row.content)
    except BadRequest:
        log.error("Subscription/%s cannot be read: nothing is sent for it", row.id)
        return None


def _scattered(now, over_s):
    """Times in the next ``over_s`` seconds, another one for each row."""
    moment = literal((now - EPOCH) // timedelta(microseconds=1), BigInteger)
    return type_coerce(moment + _s.key * _PRIME % max(1, int(over_s * 1000)) * 1000, Instant)


def _unlocked(*conditions):
    """Rows that meet the conditions and that nobody else has locked; they are locked then."""
    return _s.key.in_(select(_s.key).where(*conditions).with_for_update(key_share=True, skip_locked=True))


_s = subscription.c
_PRIME = 7919  # neighbouring keys come far apart
_MINE = within(_s.key, "keys"), _s.lease == bindparam("owner")
_DUE = (select(_s.key).where(_s.due_at <= bindparam("now")).order_by(_s.due_at).limit(bindparam("limit"))
        .with_for_update(key_share=True, skip_locked=True).cte("due"))  # a CTE: PostgreSQL may run a subquery twice
_CLAIM = (update(subscription).where(_s.key.in_(select(_DUE.c.key)))
          .values(lease=bindparam("owner"), due_at=bindparam("until")).returning(_s.key))
_HELD = (select(_s.key, _s.id, _s.attempts, _s.active, _s.push, version.c.version_id, version.c.content)
         .outerjoin(resource, and_(resource.c.type == "Subscription", resource.c.id == _s.id))
         .outerjoin(version, and_(version.c.resource_key == resource.c.key,
                                  version.c.version_id == resource.c.version_id))
         .where(*_MINE).with_for_update(key_share=True, skip_locked=True, of=subscription))
_STILL_MINE = select(_s.key).where(*_MINE)
_RENEW = update(subscription).where(_unlocked(*_MINE)).values(due_at=bindparam("until"))
_PUT_OFF = update(subscription).where(within(_s.key, "keys")).values(lease=None, due_at=bindparam("at"))
_FAIL = update(subscription).where(_s.key == bindparam("of")).values(
    lease=None, due_at=bindparam("at"), attempts=bindparam("failures"))
_COUNT = update(subscription).where(_s.key == bindparam("of")).values(attempts=bindparam("failures"))
_FORGET = update(subscription).where(within(_s.key, "keys")).values(attempts=0)
_NEXT_DUE = select(func.min(_s.due_at)).where(_s.due_at > bindparam("after"))
_ASTRAY = select(_s.key).where(_s.due_at > bindparam("latest")).limit(1)
_PULL_BACK = update(subscription).where(_unlocked(_s.due_at > bindparam("latest"))).values(
    lease=None, due_at=bindparam("now"))
_SHORTEN = (update(subscription).where(_unlocked(_s.due_at > bindparam("until"), _s.lease.is_not(None)))
            .values(due_at=bindparam("until")))
_OWNERS = (select(_s.lease).where(_s.due_at > bindparam("now"), _s.due_at <= bindparam("until"), _s.lease.is_not(None))
           .distinct())
_FREE = (update(subscription).where(_unlocked(_s.due_at.is_not(None), within(_s.lease, "owners")))
         .values(lease=None, due_at=bindparam("now")))
_ENDED = select(_s.id).where(_s.ends_at <= bindparam("now"))
_FORGET_ENDS = (update(subscription)
                .where(_unlocked(within(_s.id, "ids"), _s.ends_at <= bindparam("now")))
                .values(ends_at=None))
