"""Periodic triggers. Spec: https://hl7.org/fhir/R4/triggerdefinition.html"""
from datetime import datetime, timezone

import pytest
from pipeline import NOW, Pipeline
from sqlalchemy import select

from fhirsub.store.tables import change, topic
from fhirsub.subscriptions import periodic

HOUR_S = 3600
HOURLY = {"repeat": {"period": 1, "periodUnit": "h"}}


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


def define(pipeline, timing=HOURLY, id="rounds", kind="timingTiming", status="active"):
    pipeline.write({"resourceType": "EventDefinition", "id": id, "status": status,
                    "trigger": [{"type": "periodic", kind: timing}]})
    pipeline.match()


def fired(pipeline):
    """The ids of the topics that fired, in order."""
    with pipeline.database.read() as tx:
        rows = tx.execute(select(change).where(change.c.interaction == "periodic").order_by(change.c.seq)).all()
    assert all((row.type, row.id) == ("EventDefinition", row.topic_id) for row in rows)
    return [row.topic_id for row in rows]


def next_at(pipeline, id="rounds"):
    with pipeline.database.read() as tx:
        return tx.execute(select(topic.c.next_at).where(topic.c.id == id)).scalar()


def pause_s(pipeline):
    with pipeline.database.read() as tx:
        return periodic.pause_s(tx, now=pipeline.clock())


def test_trigger_fires_when_its_time_has_come(pipeline):
    assert pause_s(pipeline) is None
    define(pipeline)
    assert (fired(pipeline), pause_s(pipeline)) == ([], HOUR_S)
    pipeline.clock.move(HOUR_S - 1)
    pipeline.match()
    assert (fired(pipeline), pause_s(pipeline)) == ([], 1)
    pipeline.clock.move(1)
    pipeline.match()
    assert (fired(pipeline), pause_s(pipeline)) == (["rounds"], HOUR_S)


def test_trigger_fires_once_for_one_time_over_all_processes(pipeline):
    define(pipeline)
    other = Pipeline(pipeline.database)
    other.clock = other.matcher.now = pipeline.clock
    pipeline.clock.move(HOUR_S + 10)
    for _ in range(3):
        pipeline.match()
        other.match()
    assert fired(pipeline) == ["rounds"]


def test_trigger_fires_once_after_a_downtime(pipeline):
    define(pipeline)
    pipeline.clock.move(50 * HOUR_S + 60)
    pipeline.match()
    assert fired(pipeline) == ["rounds"]
    assert next_at(pipeline) == datetime(2024, 5, 3, 15, tzinfo=timezone.utc)


def test_trigger_that_has_no_time_left_waits_for_none(pipeline):
    define(pipeline, "2024-05-01T13:00:00Z", kind="timingDateTime")
    define(pipeline, "2024-05-01", id="past", kind="timingDate")
    assert next_at(pipeline, "past") is None
    pipeline.clock.move(HOUR_S)
    pipeline.match()
    assert (fired(pipeline), pause_s(pipeline)) == (["rounds"], None)


def test_trigger_of_a_retired_definition_fires_no_more(pipeline):
    define(pipeline)
    define(pipeline, status="retired")
    pipeline.clock.move(HOUR_S)
    pipeline.match()
    assert fired(pipeline) == []


def test_trigger_is_lost_neither_with_the_transaction_that_fires_it(pipeline):
    define(pipeline)
    pipeline.clock.move(HOUR_S)
    with pytest.raises(RuntimeError, match="killed"), pipeline.database.write() as tx:
        assert periodic.fire(tx, pipeline.matcher.topics, now=pipeline.clock()) == 1
        raise RuntimeError("killed")
    pipeline.match()
    assert fired(pipeline) == ["rounds"]


def test_subscriptions_to_a_periodic_event_are_notified(pipeline):
    define(pipeline)
    pipeline.subscribe("EventDefinition", extension=[{
        "url": "http://hl7.org/fhir/subscription/topics", "valueReference": {"reference": "EventDefinition/rounds"}}])
    pipeline.match()
    pipeline.clock.move(HOUR_S)
    pipeline.match()
    assert pipeline.events() == [(1, "EventDefinition/rounds/1")]


def test_trigger_of_a_new_version_keeps_its_time(pipeline):
    define(pipeline)
    pipeline.clock.move(HOUR_S / 2)
    define(pipeline)
    assert next_at(pipeline) == NOW.replace(hour=13)
