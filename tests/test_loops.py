"""Servers that notify each other in a circle come to rest: X-FHIR-Hops."""
import pytest
from delivering import delivery, receiver  # noqa: F401 - fixtures
from fhir_client import make_client
from pipeline import Pipeline, observation
from sqlalchemy import select

from fhirsub.store import changes, versions
from fhirsub.store.tables import change


def write(pipeline, resource, hops):
    with pipeline.database.write() as tx:
        versions.write(tx, resource, now=pipeline.clock(), hops=hops)


def test_notification_counts_on_from_what_led_to_it(delivery):  # noqa: F811
    d = delivery()
    d.subscribe()
    for number, hops in enumerate((0, 3, changes.MAX_HOPS)):
        write(d, observation(id=f"o{number}"), hops)
    d.match()
    d.pump()
    assert [arrival.headers["x-fhir-hops"] for arrival in d.receiver.at("/a")] == ["1", "4", "6"]


def test_write_after_too_many_hops_notifies_nobody(database, caplog):
    pipeline = Pipeline(database)
    pipeline.subscribe("Observation")
    pipeline.match()
    write(pipeline, observation(id="o1"), changes.MAX_HOPS + 1)
    assert pipeline.match() == 0 and pipeline.events() == []
    assert "Observation/o1" in caplog.text
    with database.write() as tx:
        versions.delete(tx, "Observation", "o1", now=pipeline.clock(), hops=changes.MAX_HOPS + 1)
    assert pipeline.match() == 0


def test_subscription_is_switched_on_however_it_came(database):
    pipeline = Pipeline(database)
    subscription = pipeline.subscribe("Observation", id="far").resource
    write(pipeline, subscription, changes.MAX_HOPS + 1)
    assert pipeline.match() == 2


@pytest.mark.parametrize("header, hops", [("3", 3), ("", None), ("-1", None), ("many", None), ("9" * 30, None)])
def test_header_of_a_write_is_what_its_change_tells(database, header, hops):
    client = make_client(database)
    entry = {"resource": observation(), "request": {"method": "POST", "url": "Observation"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [entry]}
    for path, resource in (("Observation", observation()), ("", batch)):
        client.post(path, resource, X_FHIR_Hops=header)
    with database.read() as tx:
        assert tx.execute(select(change.c.hops)).scalars().all() == [hops, hops]
