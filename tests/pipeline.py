"""What tests of floor 3 share: writing resources and Subscriptions without REST, and a clock that stands still."""
from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone

import topics
from sqlalchemy import select

from fhirsub.config import Config
from fhirsub.store import versions
from fhirsub.store.tables import cursor, event, stream, subscription
from fhirsub.subscriptions.matcher import Matcher

NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
CODE = "http://loinc.org|718-7"
_numbers = itertools.count(1)


class Clock:
    """``clock()`` is the time; it moves only by ``clock.move(seconds)``."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now

    def move(self, seconds):
        self.now += timedelta(seconds=seconds)


class Pipeline:
    """A database with a matcher whose steps a test takes itself."""

    def __init__(self, database, **settings):
        self.database, self.clock, self.config = database, Clock(), Config({"HOST": "127.0.0.1"} | settings, {})
        self.matcher = Matcher(database, self.config, now=self.clock)

    def write(self, resource):
        resource = {"id": f"r{next(_numbers)}"} | resource
        with self.database.write() as tx:
            return versions.write(tx, resource, now=self.clock())

    def delete(self, type, id):
        with self.database.write() as tx:
            return versions.delete(tx, type, id, now=self.clock())

    def subscribe(self, criteria, *, id="sub", status="active", kind="rest-hook", **more):
        return self.write({"resourceType": "Subscription", "id": id, "status": status, "reason": "test",
                           "criteria": criteria,
                           "channel": {"type": kind, "endpoint": "http://127.0.0.1:9/hook"}} | more)

    def define(self, id, *triggers, **more):
        """Write an EventDefinition, see :func:`topics.definition`."""
        return self.write(topics.definition(id, *triggers, **more))

    def ask(self, criteria, asked=(), *, id="sub", **more):
        """Write an active Subscription to topics, see :func:`topics.subscription`."""
        return self.write(topics.subscription(criteria, asked, id=id, status="active", **more))

    def match(self):
        """Match until nothing is pending; returns how many changes there were."""
        count = 0
        while step := self.matcher.step():
            count += step
        return count

    def events(self, id="sub"):
        """``[(number, "Type/id/version"), …]`` after the cursors of a subscription, in the order in which it gets them."""
        from fhirsub.store.changes import load
        with self.database.read() as tx:
            rows = tx.execute(
                select(event.c.number - cursor.c.base, event.c.change_seq).select_from(subscription)
                .join(cursor, cursor.c.subscription_key == subscription.c.key)
                .join(event, event.c.stream_id == cursor.c.stream_id)
                .where(subscription.c.id == id, event.c.number > cursor.c.accepted,
                       (cursor.c.until.is_(None)) | (event.c.number <= cursor.c.until), ~cursor.c.parked)
                .order_by(cursor.c.key, event.c.number)).all()
            changes = load(tx, [seq for _, seq in rows])
            return [(number, f"{changes[seq].type}/{changes[seq].id}/{changes[seq].version_id}") for number, seq in rows]

    def names(self, id="sub"):
        """``["Type/id/version", …]`` of :meth:`events`."""
        return [name for _, name in self.events(id)]

    def told(self, column=event.c.transition):
        """A column of all events, in the order of changes."""
        with self.database.read() as tx:
            return tx.execute(select(column).order_by(event.c.change_seq, event.c.stream_id)).scalars().all()

    def state(self, id="sub"):
        """The row of a subscription in the engine's table."""
        with self.database.read() as tx:
            return tx.execute(select(subscription).where(subscription.c.id == id)).first()

    def count(self, table):
        with self.database.read() as tx:
            return len(tx.execute(select(table)).all())

    def heads(self):
        with self.database.read() as tx:
            return {row.question: row.head for row in tx.execute(select(stream))}


def observation(code="718-7", **more):
    return {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}} | more
