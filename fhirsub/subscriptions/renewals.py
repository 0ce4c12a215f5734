"""Subscriptions that ask again what they ask, because an EventDefinition has changed: a few in each batch.

A definition may have 100,000 of them. Its change stays pending until the last is done, so nothing that comes after it
in the log is matched before; who is left is in the database, so whoever matches next goes on there.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

from operator import attrgetter

from sqlalchemy import Integer, bindparam, cast, delete, exists, func, insert, select

from ..fhir import json
from ..store import changes
from ..store.sets import within
from ..store.tables import change, renewal, resource, topic_use, version
from . import switch

SLICE = 100  # in one transaction: writers of SQLite wait for its end

_OWNER = "Subscription/"


def expect(tx, seq, named):
    """Have every Subscription ask again that uses a topic which goes by one of these names.

    :param seq: of the EventDefinition's change
    """
    tx.execute(_EXPECT, {"because": seq, "names": named})


def is_under_way(tx, seq):
    """Whether an earlier batch began with those of this change."""
    return tx.execute(_IS_UNDER_WAY, {"because": seq}).scalar()


def go_on(tx, seq, find, *, now):
    """Let the next :data:`SLICE` Subscriptions ask again; returns whether none is left.

    :param find: as of :func:`.switch.apply`
    """
    ids = tx.execute(_NEXT, {"because": seq, "limit": SLICE}).scalars().all()
    for standing in sorted(_standing(tx, ids, seq, now), key=attrgetter("id")):  # as others lock them
        if switch.is_on(standing):
            switch.renew(tx, standing, find, now=now)
    tx.execute(_DONE, {"because": seq, "ids": ids})
    return not is_under_way(tx, seq)


def _standing(tx, ids, seq, now):
    """The Subscriptions as the matcher has met them: without what was written after, and still is pending."""
    return [changes.Change("Subscription", row.id, str(row.version_id), row.interaction,
                           row.content and json.decode(row.content), recorded_at=now, base_url=row.base_url or "")
            for row in tx.execute(_STANDING, {"ids": ids, "because": seq}).all()]


_of_change = renewal.c.change_seq == bindparam("because")
_EXPECT = insert(renewal).from_select(["change_seq", "subscription_id"], select(
    bindparam("because", type_=renewal.c.change_seq.type), func.substr(topic_use.c.used_by, len(_OWNER) + 1)).where(
    within(topic_use.c.name, "names"), topic_use.c.used_by.like(f"{_OWNER}%")).distinct())
_IS_UNDER_WAY = select(exists().where(_of_change))
_NEXT = select(renewal.c.subscription_id).where(_of_change).order_by(renewal.c.subscription_id).limit(
    bindparam("limit"))
_DONE = delete(renewal).where(_of_change, within(renewal.c.subscription_id, "ids"))
_AHEAD = select(change.c.resource_key, func.min(cast(change.c.version_id, Integer)).label("version_id")).where(
    ~change.c.matched, change.c.seq > bindparam("because"), change.c.type == "Subscription", within(change.c.id, "ids"),
    change.c.interaction.in_(changes.WRITES)).group_by(change.c.resource_key).subquery()
_STANDING = select(version).join(resource, resource.c.key == version.c.resource_key).outerjoin(
    _AHEAD, _AHEAD.c.resource_key == resource.c.key).where(
    resource.c.type == "Subscription", within(resource.c.id, "ids"),
    version.c.version_id == func.coalesce(_AHEAD.c.version_id - 1, resource.c.version_id))
