"""EventDefinitions are switched on, over and off at their place in the log, and their Subscriptions with them."""
from __future__ import annotations

import pytest
from pipeline import Pipeline, observation
from topics import encounter, trigger

from fhirsub.store import changes, versions
from fhirsub.store.tables import event, need, stream, stream_key, topic, topic_key, topic_name, topic_use
from fhirsub.subscriptions import switch
from fhirsub.subscriptions.trace import reasons

ARRIVED = trigger(expression="status = 'arrived'")
FINISHED = trigger(expression="status = 'finished'")
OF_TOPICS = (topic, topic_key, topic_name)


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


def status(pipeline):
    with pipeline.database.read() as tx:
        resource = versions.current(tx, "Subscription", "sub").resource
    return resource["status"], resource.get("error", "")


def test_definition_is_switched_at_its_place_in_the_log(pipeline):
    pipeline.define("admit", ARRIVED, status="draft")
    pipeline.write(encounter("arrived", id="early"))
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter", ["admit"])
    pipeline.write(encounter("arrived", id="on"))
    pipeline.define("admit", FINISHED)
    pipeline.write(encounter("arrived", id="old-condition"))
    pipeline.write(encounter("finished", id="new-condition"))
    pipeline.define("admit", FINISHED, status="retired")
    pipeline.write(encounter("finished", id="late"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/on/1", "Encounter/new-condition/1"]


def test_definition_that_is_off_makes_its_subscriptions_an_error_until_it_is_back(pipeline):
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter", ["admit"])
    pipeline.match()
    pipeline.define("admit", ARRIVED, status="retired")
    pipeline.match()
    assert status(pipeline)[0] == "error" and "admit" in status(pipeline)[1]
    assert [pipeline.count(table) for table in OF_TOPICS] == [0, 0, 0]
    pipeline.write(encounter("arrived", id="off"))
    pipeline.define("admit", ARRIVED)
    pipeline.write(encounter("arrived", id="on"))
    pipeline.match()
    assert status(pipeline) == ("active", "")
    assert pipeline.events() == [(1, "Encounter/on/1")]


def test_backlog_from_before_the_definition_was_off_is_kept(pipeline):
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter", ["admit"])
    pipeline.write(encounter("arrived", id="before"))
    pipeline.define("admit", ARRIVED, status="retired")
    pipeline.match()
    assert pipeline.events() == [(1, "Encounter/before/1")] and pipeline.state().due_at is not None
    pipeline.define("admit", ARRIVED)
    pipeline.write(encounter("arrived", id="after"))
    pipeline.match()
    assert pipeline.events() == [(1, "Encounter/before/1"), (2, "Encounter/after/1")]


def test_deleted_definition_that_comes_back_by_name_mends_its_subscriptions(pipeline):
    pipeline.define("one", ARRIVED, name="patient-admit")
    pipeline.ask("Encounter", ["patient-admit"])
    pipeline.match()
    pipeline.delete("EventDefinition", "one")
    pipeline.match()
    assert status(pipeline)[0] == "error"
    pipeline.define("two", ARRIVED, name="patient-admit")
    pipeline.write(encounter("arrived"))
    pipeline.match()
    assert status(pipeline)[0] == "active" and pipeline.names() == ["Encounter/e/1"]


def test_subscription_that_comes_before_its_definition_waits_for_it(pipeline):
    pipeline.ask("Encounter", ["admit"])
    pipeline.match()
    assert status(pipeline)[0] == "error" and pipeline.state() is None
    pipeline.define("admit", ARRIVED)
    pipeline.write(encounter("arrived"))
    pipeline.match()
    assert status(pipeline) == ("active", "") and pipeline.names() == ["Encounter/e/1"]


def test_new_condition_leaves_the_subscriptions_as_they_are(pipeline, monkeypatch):
    pipeline.define("admit", trigger(expression="status = 'arrived' and %previous.exists()"))
    pipeline.ask("Patient/1", ["admit"])
    pipeline.match()
    monkeypatch.setattr(switch, "renew", lambda *at, **more: 1 / 0)
    pipeline.define("admit", FINISHED, description="the same to those who ask")
    pipeline.write(encounter("finished"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/1"]


def test_new_condition_of_a_filter_refiles_the_streams_that_use_it(pipeline):
    pipeline.define("admit", ARRIVED)
    pipeline.define("narrow", trigger(expression="class.code = %word"), is_filter=True)
    pipeline.ask("Encounter", ["admit", "narrow"], parameters={"word": "EMER"})
    pipeline.write(encounter("arrived", id="first", **{"class": {"code": "EMER"}}))
    pipeline.define("narrow", trigger(expression="serviceType.text = %word"), is_filter=True)
    pipeline.write(encounter("arrived", id="second", **{"class": {"code": "EMER"}}))
    pipeline.write(encounter("arrived", id="third", serviceType={"text": "EMER"}))
    pipeline.match()
    assert pipeline.names() == ["Encounter/first/1", "Encounter/third/1"]


def test_composition_follows_the_definitions_that_it_is_composed_of(pipeline):
    pipeline.define("arrived", ARRIVED)
    pipeline.define("moves", topics=["arrived"])
    pipeline.ask("Patient/1", ["moves"])
    pipeline.write(encounter("arrived", id="arrived"))
    pipeline.define("arrived", trigger(data="Observation", expression="status = 'final'"))
    pipeline.write(encounter("arrived", id="no-more"))
    pipeline.write(observation(id="o", subject={"reference": "Patient/1"}))
    pipeline.match()
    assert pipeline.names() == ["Encounter/arrived/1", "Observation/o/1"]


def test_topic_goes_by_its_canonical_with_and_without_version(pipeline):
    for version in "12":
        pipeline.define(f"v{version}", trigger(expression=f"length.value = {version}"), url="http://here/admit",
                        version=version)
    pipeline.ask("Encounter", ["http://here/admit"], id="latest")
    pipeline.ask("Encounter", ["http://here/admit|1"], id="first")
    for version in (1, 2):
        pipeline.write(encounter("arrived", id=f"e{version}", length={"value": version}))
    pipeline.match()
    assert pipeline.names("latest") == ["Encounter/e2/1"] and pipeline.names("first") == ["Encounter/e1/1"]


def test_name_that_a_database_cannot_hold_stops_nothing(pipeline):
    pipeline.define("admit", ARRIVED, name="a\0b" + "c" * 3000)
    pipeline.ask("Group/g", ["EventDefinition/admit"], id="group")
    pipeline.ask("Encounter", ["a\0b" + "c" * 3000])
    pipeline.write(encounter("arrived", "Patient/\0"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/1"]


def test_name_stays_with_the_definition_that_had_it_first(pipeline):
    pipeline.define("b", ARRIVED, name="patient-admit")
    pipeline.ask("Encounter", ["patient-admit"])
    pipeline.define("a", FINISHED, name="patient-admit")
    pipeline.define("b", ARRIVED, name="patient-admit")
    pipeline.write(encounter("finished", id="finished"))
    pipeline.write(encounter("arrived", id="arrived"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/arrived/1"]


def test_needs_are_counted_while_streams_are_open(pipeline):
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter?status=arrived", transitions=["leave"], id="a")
    pipeline.ask("Encounter?status=planned", transitions=["leave"], id="b")
    pipeline.ask("Group/g", ["admit"], id="c")
    pipeline.match()
    with pipeline.database.read() as tx:
        counted = {(row.type, row.name): row.streams for row in tx.execute(need.select())}
    assert counted == {("Encounter", "previous"): 2, ("Encounter", "compartments"): 1, ("Encounter", "sets"): 1}
    pipeline.delete("Subscription", "a")
    pipeline.subscribe("Encounter?status=planned", id="b", status="off")
    pipeline.subscribe("Encounter", id="c")
    pipeline.match()
    assert pipeline.count(need) == 0 and pipeline.count(topic_use) == 0
    assert pipeline.count(stream_key) == 1


def test_killed_batch_leaves_no_topic_and_no_need_behind(pipeline, monkeypatch):
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter", ["admit"], transitions=["enter", "leave"])
    pipeline.write(encounter("arrived"))
    monkeypatch.setattr(changes, "mark", lambda tx, seqs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.matcher.step()
    assert {pipeline.count(table) for table in (*OF_TOPICS, topic_use, need, stream, event)} == {0}
    monkeypatch.undo()
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/1"]


def explained(pipeline, id):
    with pipeline.database.read() as tx:
        current = versions.current(tx, "Subscription", "sub").resource
        return [reason.code for reason in reasons(tx, current, changes.last(tx, "Encounter", id), now=pipeline.clock())]


def test_trace_tells_what_became_of_an_event(pipeline):
    pipeline.define("admit", ARRIVED)
    pipeline.ask("Encounter", ["admit"])
    pipeline.write(encounter("arrived", id="event"))
    pipeline.write(encounter("planned", id="none"))
    pipeline.match()
    assert explained(pipeline, "event") == ["waiting"] and explained(pipeline, "none") == ["no-match"]
    pipeline.define("admit", ARRIVED, status="retired")
    pipeline.match()
    assert explained(pipeline, "none") == ["unusable", "error"]
    pipeline.ask("Encounter", ["other"])
    assert explained(pipeline, "event")[0] == "other-criteria"
