"""Switches EventDefinitions on, over to a new version, and off, at their own place in the log of changes.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

import logging
from dataclasses import replace

from ..errors import FHIRSubError
from ..fhir import json
from ..fhir.topics import read
from . import registry, renewals

log = logging.getLogger(__name__)


def apply(tx, change, topics, *, now):
    """Take one change of an EventDefinition into the tables of topics, and tell the Subscriptions that use it.

    Those that cannot be evaluated without it get the status ``error``; those that waited for it are active again.

    :param change: :class:`~fhirsub.store.changes.Change` with its ``resource`` (None for a delete)
    :param topics: :class:`.Topics`
    :returns: whether all are told; if not, the change is to be applied again in the next batch
    """
    if not is_begun(tx, change):
        _take(tx, change, topics)
    return renewals.go_on(tx, change.seq, topics.finder(tx), now=now)


def is_begun(tx, change):
    """Whether an earlier batch has taken the change in, and not come to its end."""
    return change.type == "EventDefinition" and renewals.is_under_way(tx, change.seq)


def _take(tx, change, topics):
    row = registry.current(tx, change.id)
    old = row and topics.load(tx, [(row.id, row.version_id)]).get(row.id)
    shape = _shape(old, topics.finder(tx))
    new = _read(change)
    if new is None:
        registry.remove(tx, change.id)
    else:
        registry.put(tx, new, change.resource, change.base_url, since=row.since if row else change.seq,
                     next_at=_next_at(row, new, change))
    find = topics.finder(tx)
    named = _refile(tx, [one for one in (old, new) if one is not None], change.id, find)
    if _shape(new, find) != shape:  # 100,000 Subscriptions need not be looked at for a new condition
        renewals.expect(tx, change.seq, named)


def _read(change):
    """The topic that it is from now on; None if it is off."""
    if change.resource is None or change.resource.get("status") != "active":
        return None
    try:
        return read(change.resource, change.base_url)
    except FHIRSubError as error:  # stored by an earlier release that could evaluate it
        log.error("EventDefinition/%s cannot be switched on: %s", change.id, error)
        return None


def _refile(tx, changed, topic_id, find):
    """File a topic, and whatever is composed of it, under the changes that they are to be tried on.

    :param changed: the topic as it was and as it is
    :returns: all that they go by
    """
    named = {registry.reference(topic_id)}.union(*map(registry.names, changed))
    waiting, filed = {registry.reference(topic_id)}, set()
    while waiting:
        for topic in filter(None, map(find, sorted(waiting))):
            registry.file(tx, topic.id, topic.keys(find))
            named |= registry.names(topic)
        filed |= waiting
        waiting = set(registry.users(tx, "EventDefinition", named)) - filed
    return named


def _next_at(row, topic, change):
    """A timing that stays the same keeps its time, which may have passed and not have fired yet."""
    if row is not None and json.decode(row.content)["trigger"] == change.resource["trigger"]:
        return row.next_at
    return topic.next_due(change.recorded_at)


def _shape(topic, find):
    """What questions are built on and filed by; all else of a definition is read when a change is matched."""
    if topic is None:
        return None
    equalities = {name: path and path.text for name in topic.parameters for path in [topic.equality(name)]}
    return (replace(topic, version_id="", triggers=()), topic.is_filter and topic.sees_previous, equalities,
            sorted(topic.keys(find)), topic.types(find))
