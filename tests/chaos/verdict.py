"""What a fault has cost: lost, duplicated, out of order, phantom; from what writers and receivers saw.

- lost: a committed version that matched, and that an endpoint never answered with 2xx
- duplicated: a version that an endpoint answered with 2xx once more
- out of order: a version that arrived after one whose write began later than its own had ended, or a wrong event number
- phantom: a request with a version that was not committed, with another's content or not asked for, at a path that
  nobody subscribed, or while no server ran
"""
from __future__ import annotations

import json
from collections import Counter
from typing import NamedTuple

from ledger import MATCHING


class Verdict(NamedTuple):
    lost: int
    duplicated: int
    unordered: int
    phantom: int

    def __str__(self):
        return (f"lost {self.lost}, duplicated {self.duplicated:>2}, out of order {self.unordered}, "
                f"phantom {self.phantom}")


class Delivery(NamedTuple):
    """One request that a receiver has had.

    :param number: event number, 0 if it was not told
    """

    at: float
    path: str
    version: str
    marker: str
    number: int
    accepted: bool


def delivery(arrival):
    """The :class:`Delivery` that an Arrival was."""
    body = json.loads(arrival.body or b"{}")
    version = f"{body.get('id')}/{body.get('meta', {}).get('versionId')}"
    number = int(arrival.headers.get("x-fhir-event-number", 0))
    accepted = any(200 <= answer < 300 for answer in arrival.answers)
    return Delivery(arrival.at, arrival.path, version, marker_of(body), number, accepted)


def marker_of(resource):
    return resource.get("identifier", [{}])[0].get("value")


def judge(ledger, committed, deliveries, paths, down=()):
    """Count what went wrong.

    :param ledger: list of :class:`~ledger.Write`
    :param committed: ``{"o1-0-7/2": resource}``, all versions that the server holds at the end
    :param deliveries: list of :class:`Delivery`, oldest first
    :param paths: of the Subscriptions
    :param down: ``[(from, to), …]``, when no server ran
    """
    expected = {version for version, resource in committed.items() if resource["status"] == MATCHING}
    missing = sum(write.version not in committed for write in ledger)  # acknowledged, and gone
    lost, duplicated, unordered = missing, 0, 0
    for path in paths:
        accepted = [each for each in deliveries if each.path == path and each.accepted]
        counts = Counter(each.version for each in accepted)
        lost += len(expected - counts.keys())
        duplicated += counts.total() - len(counts)
        firsts = {}
        for each in accepted:
            firsts.setdefault(each.version, each)
        unordered += _unordered(firsts.values(), ledger)
    phantom = sum(_phantom(each, committed, expected, paths, down) for each in deliveries)
    return Verdict(lost, duplicated, unordered, phantom)


def _unordered(firsts, ledger):
    """How many of the first deliveries of each version came too late."""
    writes, found, latest = {write.version: write for write in ledger}, 0, 0.0
    for position, each in enumerate(firsts, 1):
        write = writes.get(each.version)  # None: its writer never had an answer
        found += each.number not in (0, position) or write is not None and write.ended < latest
        latest = max(latest, write.began if write else 0.0)
    return found


def _phantom(each, committed, expected, paths, down):
    return (each.path not in paths or each.version not in expected or marker_of(committed[each.version]) != each.marker
            or any(start < each.at < end for start, end in down))
