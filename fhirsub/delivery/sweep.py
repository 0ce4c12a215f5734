"""The sweep: what happens by the clock alone, and what a lost wake-up or a dead dispatcher left behind."""
from __future__ import annotations

from datetime import datetime, timezone

from ..fhir.instants import parse_instant
from ..store import versions
from ..subscriptions.status import set_status
from . import claims

_EVER = datetime(1970, 1, 1, tzinfo=timezone.utc)


def sweep(database, owner, keys, *, now, lease_s, longest_s):
    """Switch off what is past its ``end``, free the leases of dead dispatchers, and prolong one's own.

    What is due later than ``longest_s`` from now was put off by a clock that has been set back: it is due at once.

    Writes only where there is something to write.

    :param keys: subscriptions whose notifications ``owner`` has under way
    :returns: when the next subscription is due, which may be in the past; None: none is
    """
    with database.read() as tx:
        ended, dead = claims.ended(tx, now), claims.dead_owners(tx, now=now, lease_s=lease_s)
        astray, due_at = claims.astray(tx, now=now, longest_s=longest_s), claims.next_due(tx, _EVER)
    if not (ended or dead or keys or astray):
        return due_at
    with database.write() as tx:
        for id in ended:
            _end(tx, id, now)
        claims.forget_ends(tx, ended, now=now)
        claims.free(tx, dead, now=now)
        claims.renew(tx, owner, keys, now=now, lease_s=lease_s)
        if astray:
            claims.pull_back(tx, now=now, longest_s=longest_s)
        return claims.next_due(tx, _EVER)


def _end(tx, id, now):
    current = versions.lock(tx, "Subscription", id)  # its end may have been moved a moment ago
    if current is not None and not current.deleted and "end" in current.resource:
        if parse_instant(current.resource["end"]) <= now:
            set_status(tx, id, "off", None, now=now)
