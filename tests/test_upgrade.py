"""A database of an earlier release, with a backlog: what it had still to deliver is delivered after the upgrade.

``data/backlog_0001.json`` holds the rows that release 0.1 (migration 0001) had written for a story of three
Subscriptions.
"""
from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from alembic import command
from delivering import Delivery, receiver  # noqa: F401
from fhir_client import assert_refused
from sqlalchemy import MetaData, select, update
from test_replay import ask

from fhirsub.store import migrate, versions
from fhirsub.store.tables import cursor, subscription

ROWS = json.loads((Path(__file__).parent / "data" / "backlog_0001.json").read_text())


@pytest.fixture
def old(empty):
    """A database as release 0.1 left it."""
    config = migrate._config()
    with empty.write() as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "0001")
        fill(tx)
    return empty


@pytest.fixture
def upgraded(old, receiver):
    """It, upgraded by this release, a minute later."""
    d = Delivery(old, receiver)
    migrate.upgrade(old)
    d.clock.move(60)
    redirect(d)
    d.match()
    d.pump()
    yield d
    d.egress.close()


def fill(tx):
    tables = MetaData()
    tables.reflect(tx)
    for name, rows in ROWS.items():
        table = tables.tables[name]
        booleans = [column.name for column in table.columns if column.type.python_type is bool]
        tx.execute(table.insert(), [row | {name: bool(row[name]) for name in booleans} for row in rows])
        serial = next((column for column in table.primary_key if column.name in ("key", "id", "seq")), None)
        if tx.dialect.name == "postgresql" and serial is not None and serial.type.python_type is int:
            tx.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{name}', '{serial.name}'), "
                               f"(SELECT max({serial.name}) FROM {name}))")


def test_backlog_of_an_earlier_release_is_delivered(upgraded, receiver):
    numbers = {id: [(int(arrival.headers["x-fhir-event-number"]), json.loads(arrival.body)["id"])
                    for arrival in receiver.at(f"/{id}")] for id in ("behind", "asks-anew", "was-off")}
    assert numbers == {
        "behind": [(2, "o2"), (3, "o3"), (4, "o4"), (5, "o5")],  # o5 was not even matched
        "asks-anew": [(2, "o2"), (3, "o4"), (4, "o6")],          # the old question first, then the new one
        "was-off": [(3, "o3"), (4, "o4"), (5, "o5")]}            # o2 stays parked
    assert [arrival.headers["webhook-id"] for arrival in receiver.at("/behind")] == ["evt-1-2", "evt-1-3", "evt-1-4",
                                                                                      "evt-1-5"]


def test_what_an_earlier_release_delivered_or_parked_is_replayed(upgraded, receiver):
    d = upgraded
    receiver.arrivals.clear()
    for id, asked, numbers in (("behind", {"from_": 1}, [1, 2, 3, 4, 5]), ("was-off", {"parked": True}, [2]),
                               ("asks-anew", {"from_": 2}, [2, 3, 4])):
        assert ask(d, id=id, **asked).status_code == 202
        d.pump()
        assert d.numbers(f"/{id}") == numbers
    # Where its closed cursor began is not known any more.
    assert_refused(ask(d, id="asks-anew", from_=1), 422, "not kept")


def test_subscriptions_of_an_earlier_release_know_what_they_follow(old):
    migrate.upgrade(old)
    with old.read() as tx:
        opened = select(cursor.c.subscription_key, cursor.c.stream_id).where(cursor.c.until.is_(None))
        following = select(subscription.c.key, subscription.c.stream_id).where(subscription.c.stream_id.is_not(None))
        assert dict(tx.execute(following).all()) == dict(tx.execute(opened).all()) != {}


def redirect(d):
    """Let the Subscriptions send to this test's receiver."""
    for id in ("behind", "asks-anew", "was-off"):
        with d.database.read() as tx:
            stored = versions.current(tx, "Subscription", id).resource
        d.write(stored | {"channel": stored["channel"] | {"endpoint": d.receiver.url(f"/{id}")}})
    with d.database.write() as tx:
        tx.execute(update(subscription).values(due_at=d.clock() - timedelta(seconds=1)))
