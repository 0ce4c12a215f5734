"""Events in the matcher: which changes reach the streams of EventDefinitions, filters, compartments and transitions."""
from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from pipeline import NOW, Pipeline, observation
from topics import encounter, subscription, trigger

from fhirsub.fhir.extensions import PARAMETER, TOPICS
from fhirsub.store import changes, raised, versions
from fhirsub.store.changes import Change
from fhirsub.store.tables import event, stream

ARRIVED = trigger(expression="status = 'arrived'")
ADMITTED = trigger(expression="status = 'arrived' and %previous.where(status = 'arrived').empty()")
EMERGENCY = {"class": {"code": "EMER"}}


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


def test_connectathon_example_notifies_the_one_patients_arrival_once(pipeline):
    pipeline.define("admit", trigger(expression="$this.status = 'arrived' and %previous.status != 'arrived'"))
    pipeline.ask("Patient/mine", ["EventDefinition/admit"])
    for id in ("mine", "other"):
        pipeline.write(encounter("planned", f"Patient/{id}", id=id))
        pipeline.write(encounter("arrived", f"Patient/{id}", id=id))
    pipeline.write(encounter("arrived", "Patient/mine", id="mine", length={"value": 1}))
    pipeline.match()
    assert pipeline.names() == ["Encounter/mine/2"]
    assert pipeline.told(event.c.topics) == ["admit"]


def test_condition_with_previous_fires_on_a_create_too_when_it_says_so(pipeline):
    pipeline.define("admit", ADMITTED)
    pipeline.ask("Encounter", ["EventDefinition/admit"])
    pipeline.write(encounter("arrived"))
    pipeline.write(encounter("arrived", length={"value": 1}))
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/1"]


def test_two_subscriptions_on_one_question_share_a_stream(pipeline):
    pipeline.define("admit", ADMITTED)
    pipeline.ask("Encounter?subject=Patient/1", ["EventDefinition/admit"], id="a")
    pipeline.ask("/Encounter?subject=Patient/1", ["admit"], id="b")
    pipeline.write(encounter("arrived"))
    pipeline.match()
    assert pipeline.count(stream) == pipeline.count(event) == 1
    assert pipeline.names("a") == pipeline.names("b") == ["Encounter/e/1"]


def define_two(pipeline):
    pipeline.define("arrived", ARRIVED)
    pipeline.define("emergency", trigger(expression="class.code = 'EMER'"))


def write_four(pipeline):
    """Encounters that are both, one, the other, or neither of the two."""
    pipeline.write(encounter("arrived", id="both", **EMERGENCY))
    pipeline.write(encounter("arrived", id="arrived"))
    pipeline.write(encounter("finished", id="emergency", **EMERGENCY))
    pipeline.write(encounter("finished", id="neither"))
    pipeline.match()


@pytest.mark.parametrize("operator, ids", [
    ("union", ["both", "arrived", "emergency"]), ("intersect", ["both"]), ("except", ["arrived"])])
def test_operator_combines_the_events_of_two_topics(pipeline, operator, ids):
    define_two(pipeline)
    pipeline.ask("Encounter", ["arrived", ("emergency", operator)])
    write_four(pipeline)
    assert pipeline.names() == [f"Encounter/{id}/1" for id in ids]


def test_filter_with_a_parameter_narrows_the_events(pipeline):
    define_two(pipeline)
    pipeline.define("of-class", trigger(expression="class.code = %class"), is_filter=True)
    pipeline.ask("Encounter", ["arrived", "of-class"], parameters={"class": "EMER"})
    write_four(pipeline)
    assert pipeline.names() == ["Encounter/both/1"]


def test_filter_may_look_at_the_version_before(pipeline):
    pipeline.define("changed", trigger("data-modified"))
    pipeline.define("from-planned", trigger(expression="%previous.status = 'planned'"), is_filter=True)
    pipeline.ask("Encounter", ["changed", "from-planned"])
    for status in ("planned", "arrived", "finished"):
        pipeline.write(encounter(status))
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/2"]


def test_firehose_brings_deletes_too(pipeline):
    pipeline.ask("Patient/1", ["Firehose"])
    pipeline.write(observation(id="o", subject={"reference": "Patient/1"}))
    pipeline.write(encounter("planned"))
    pipeline.write(encounter("planned", "Patient/2", id="theirs"))
    pipeline.delete("Encounter", "e")
    pipeline.delete("Encounter", "theirs")
    pipeline.match()
    assert pipeline.names() == ["Observation/o/1", "Encounter/e/1", "Encounter/e/2"]


def test_transitions_of_criteria_are_told(pipeline):
    pipeline.ask("Encounter?status=arrived", transitions=["enter", "update", "leave", "delete"])
    for status in ("planned", "arrived", "arrived", "finished", "finished", "arrived"):
        pipeline.write(encounter(status))
    pipeline.delete("Encounter", "e")
    pipeline.match()
    assert pipeline.told() == ["enter", "update", "leave", "enter", "delete"]
    assert pipeline.names() == [f"Encounter/e/{version}" for version in (2, 3, 4, 6, 7)]


def test_transitions_of_a_host_application_come_from_the_previous_that_it_gives(pipeline):
    pipeline.ask("Encounter?status=arrived", transitions=["leave", "delete"])
    pipeline.match()
    with pipeline.database.write() as tx:
        for interaction, resource in (("update", encounter("finished")), ("delete", None)):
            changes.record(tx, Change("Encounter", "e", "v2", interaction, resource, encounter("arrived")), now=NOW)
    pipeline.match()
    assert pipeline.told() == ["leave", "delete"]


def test_data_removed_is_an_event_of_a_delete(pipeline):
    pipeline.define("removed", trigger("data-removed", expression="status = 'arrived'"))
    pipeline.ask("Patient/1", ["removed"])
    for id, status, patient in (("a", "arrived", 1), ("b", "planned", 1), ("c", "arrived", 2)):
        pipeline.write(encounter(status, f"Patient/{patient}", id=id))
        pipeline.delete("Encounter", id)
    pipeline.match()
    assert pipeline.names() == ["Encounter/a/2"]


def test_group_members_are_those_of_the_time_of_matching(pipeline):
    def group(member, inactive):
        pipeline.write({"resourceType": "Group", "id": "team", "type": "person", "actual": True, "member": [
            {"entity": {"reference": member}}, {"entity": {"reference": inactive}, "inactive": True}]})

    pipeline.define("arrived", ARRIVED)
    group("Patient/1", "Patient/2")
    pipeline.ask("Group/team", ["arrived"])
    pipeline.write(encounter("arrived", "Patient/1", id="first"))
    pipeline.write(encounter("arrived", "Patient/2", id="inactive"))
    pipeline.match()
    group("Patient/2", "Patient/1")
    pipeline.write(encounter("arrived", "Patient/1", id="left"))
    pipeline.write(encounter("arrived", "Patient/2", id="back"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/first/1", "Encounter/back/1"]


def test_list_entries_that_are_deleted_are_none(pipeline):
    pipeline.write({"resourceType": "List", "id": "mine", "status": "current", "mode": "working", "entry": [
        {"item": {"reference": "Patient/1"}}, {"item": {"reference": "Patient/2"}, "deleted": True}]})
    pipeline.define("arrived", ARRIVED)
    pipeline.ask("Encounter", ["arrived"], compartments=["List/mine"])
    for id in "12":
        pipeline.write(encounter("arrived", f"Patient/{id}", id=id))
    pipeline.match()
    assert pipeline.names() == ["Encounter/1/1"]


def write_patient(pipeline, id, practitioner):
    pipeline.write({"resourceType": "Patient", "id": id, "generalPractitioner": [
        {"reference": f"Practitioner/{practitioner}"}]})


def test_patients_of_a_general_practitioner_are_found_through_the_chain(pipeline):
    pipeline.define("admit", ADMITTED)
    pipeline.ask("Encounter?patient.general-practitioner=Practitioner/me", ["admit"])
    write_patient(pipeline, "1", "me")
    write_patient(pipeline, "2", "them")
    for id in "12":
        pipeline.write(encounter("arrived", f"Patient/{id}", id=id))
    pipeline.match()
    write_patient(pipeline, "2", "me")
    pipeline.write(encounter("arrived", "Patient/2", id="later"))
    pipeline.match()
    assert pipeline.names() == ["Encounter/1/1", "Encounter/later/1"]


def test_general_practitioner_is_found_by_resolve_in_a_filter(pipeline):
    pipeline.define("admit", ADMITTED)
    pipeline.define("mine", trigger(expression="subject.resolve().generalPractitioner.reference = %practitioner"),
                    is_filter=True)
    pipeline.ask("Encounter", ["admit", "mine"], parameters={"practitioner": "Practitioner/me"})
    write_patient(pipeline, "1", "me")
    write_patient(pipeline, "2", "them")
    for id in "123":
        pipeline.write(encounter("arrived", f"Patient/{id}", id=id))
    pipeline.match()
    assert pipeline.names() == ["Encounter/1/1"]


def test_raised_event_reaches_the_streams_of_its_topic_only(pipeline):
    for id in ("raised", "other"):
        pipeline.define(id, trigger())
        pipeline.ask("Encounter", [id], id=id)
    pipeline.ask("Encounter", id="classic")
    pipeline.write(encounter("planned"))
    with pipeline.database.write() as tx:
        raised.record(tx, "Encounter", "e", "raise", now=NOW, topic_id="raised")
    pipeline.match()
    assert pipeline.names("raised") == ["Encounter/e/1"] and pipeline.told(event.c.topics) == [None, "raised"]
    assert pipeline.names("other") == [] and pipeline.names("classic") == ["Encounter/e/1"]


def test_read_is_an_event_for_topics_only(pipeline):
    pipeline.define("accessed", trigger("data-accessed"))
    pipeline.ask("Encounter", ["accessed"], id="topic")
    pipeline.ask("Encounter", id="classic")
    pipeline.match()
    with pipeline.database.write() as tx:
        changes.record(tx, Change("Encounter", "e", "7", "read", encounter("planned")), now=NOW)
    pipeline.match()
    assert pipeline.names("topic") == ["Encounter/e/7"] and pipeline.names("classic") == []


def test_trigger_that_fails_is_counted_and_stops_nothing(pipeline, caplog):
    pipeline.define("broken", trigger(expression="(status | class.code).substring(0) = 'x'"))
    pipeline.define("arrived", ARRIVED)
    pipeline.ask("Encounter", ["broken", "arrived"])
    for id in "ab":
        pipeline.write(encounter("arrived", id=id, **EMERGENCY))
    pipeline.match()
    assert pipeline.names() == ["Encounter/a/1", "Encounter/b/1"]
    assert pipeline.matcher.topics.failures == {"broken": 2}
    assert len([record for record in caplog.records if "EventDefinition/broken" in record.getMessage()]) == 1
    with pipeline.database.read() as tx:
        assert versions.current(tx, "Subscription", "sub").resource["status"] == "active"


def test_version_before_is_known_however_the_condition_spells_it(pipeline):
    pipeline.define("admit", trigger(expression="status = 'arrived' and %`previous`.where(status = 'arrived').empty()"))
    pipeline.ask("Encounter", ["admit"])
    for minutes in range(3):
        pipeline.write(encounter("arrived", length={"value": minutes}))
    pipeline.match()
    assert pipeline.names() == ["Encounter/e/1"]


def test_reference_never_means_a_definition_that_only_goes_by_that_name(pipeline):
    pipeline.define("admit", ARRIVED, url="http://acme.org/admit")
    reference = "EventDefinition/admit"
    pipeline.define("other", trigger("data-changed"), name="http://acme.org/admit", url=reference, version="9")
    pipeline.define("third", trigger("data-changed"), name=reference)
    for id, name in (("a", reference), ("b", "http://acme.org/admit")):
        pipeline.ask("Encounter", [name], id=id)
    pipeline.write(encounter("planned"))
    pipeline.match()
    assert pipeline.count(event) == 0


def test_parameters_that_are_equal_in_python_only_are_told_apart(pipeline):
    pipeline.define("any", trigger("data-changed", data="Patient"))
    pipeline.define("active", trigger(data="Patient", expression="active = %x"), is_filter=True)
    for id, value in (("a", {"valueInteger": 1}), ("b", {"valueBoolean": True})):
        parameter = {"url": PARAMETER, "extension": [{"url": "name", "valueString": "x"}, {"url": "value"} | value]}
        listed = [{"url": TOPICS, "valueReference": {"reference": name}} for name in ("any", "active")]
        pipeline.write(subscription("Patient", id=id, extension=[*listed, parameter]) | {"status": "active"})
    pipeline.write({"resourceType": "Patient", "id": "p", "active": True})
    pipeline.match()
    assert (pipeline.names("a"), pipeline.names("b")) == ([], ["Patient/p/1"])


def test_batch_that_takes_long_ends_early_and_the_rest_is_matched_next(pipeline):
    pipeline.define("arrived", ARRIVED)
    pipeline.ask("Encounter", ["arrived"])
    pipeline.match()
    for id in "abc":
        pipeline.write(encounter("arrived", id=id))
    pipeline.matcher.now = itertools.accumulate(itertools.repeat(timedelta(seconds=2)), initial=NOW).__next__
    assert [pipeline.matcher.step() for _ in range(4)] == [1, 1, 1, 0]
    assert pipeline.names() == ["Encounter/a/1", "Encounter/b/1", "Encounter/c/1"]


def test_what_may_be_an_exception_is_not_let_through(pipeline):
    pipeline.define("any", trigger("data-changed"))
    pipeline.define("broken", trigger(expression="(status | class.code).substring(0) = 'x'"))
    pipeline.define("all", topics=["broken"])
    pipeline.ask("Encounter", ["any", ("broken", "except")], id="a")
    pipeline.ask("Encounter", ["any", ("all", "except")], id="b")
    pipeline.write(encounter("arrived"))
    pipeline.write(encounter("arrived", **EMERGENCY))
    pipeline.match()
    for id in "ab":
        assert pipeline.names(id) == ["Encounter/e/1"]
        with pipeline.database.read() as tx:
            assert "could not be evaluated" in versions.current(tx, "Subscription", id).resource["error"]
