"""$preview and $explain of Subscriptions to events, compartments and transitions."""
import pytest
from fhir_client import assert_refused, make_client
from pipeline import Pipeline
from test_explain import explain, value

from fhirsub.fhir.extensions import COMPARTMENT, FILTER, PARAMETER, TOPICS, TRANSITIONS
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.secrets import Vault

ARRIVED = "status = 'arrived' and %previous.where(status = 'arrived').empty()"


@pytest.fixture
def pipeline(database):
    """A matcher, and a client of the same database whose events are an arrival and a filter by patient."""
    made = Pipeline(database)
    channels = {"websocket": object()}
    made.client = make_client(database, {"Subscription": SubscriptionDoor(channels, Vault("x" * 43 + "="))}, channels)
    made.client.server.now = made.clock
    define(made, "arrival", ARRIVED, name="arrival")
    define(made, "of-patient", "subject.reference = %patient", {"url": FILTER, "valueBoolean": True})
    made.match()
    return made


def define(pipeline, id, expression, *extensions, **more):
    more |= {"extension": list(extensions)} if extensions else {}
    pipeline.write({"resourceType": "EventDefinition", "id": id, "status": "active", "trigger": [
        {"type": "named-event", "name": id, "data": [{"type": "Encounter"}],
         "condition": {"language": "text/fhirpath", "expression": expression}}], **more})


def encounter(status, patient="a", id="e"):
    return {"resourceType": "Encounter", "id": id, "status": status, "class": {"code": "IMP"},
            "subject": {"reference": f"Patient/{patient}"}}


def reference(url, text):
    return {"url": url, "valueReference": {"reference": text}}


def parameter(name, text):
    return {"url": PARAMETER, "extension": [{"url": "name", "valueString": name},
                                            {"url": "value", "valueString": text}]}


def transitions(*codes):
    return [{"url": TRANSITIONS, "valueCode": code} for code in codes]


def preview(pipeline, criteria, *extensions):
    """The versions found, newest first, and what the outcome says beyond their number."""
    response = pipeline.client.post("Subscription/$preview", {
        "resourceType": "Subscription", "status": "requested", "reason": "try", "criteria": criteria,
        "channel": {"type": "websocket"}, "extension": list(extensions)})
    assert response.status_code == 200, response.text
    *found, last = response.resource["entry"]
    versions = [f"{one['resource']['id']}/{one['resource']['meta']['versionId']}" for one in found]
    return versions, [issue["diagnostics"] for issue in last["resource"]["issue"]][1:]


def parts(response, name):
    """``[{"reference": "EventDefinition/arrival", "match": True}, …]``"""
    return [{part["name"]: value(part) for part in one["part"]} for one in response.resource["parameter"]
            if one["name"] == name]


def test_preview_judges_events(pipeline):
    for status in ("planned", "arrived", "arrived", "finished"):
        pipeline.write(encounter(status))
    pipeline.write(encounter("arrived", "b", id="other"))
    assert preview(pipeline, "Patient/a", reference(TOPICS, "arrival")) == (
        ["e/2"], ["Encounter/e/_history/2: update by EventDefinition/arrival"])
    filtered = [reference(TOPICS, "EventDefinition/arrival"), reference(TOPICS, "EventDefinition/of-patient"),
                parameter("patient", "Patient/b")]
    found, told = preview(pipeline, "Encounter", *filtered)
    assert found == ["other/1"] and told[0].startswith("Encounter/other/_history/1: create")


def test_preview_tells_transitions_and_deletes(pipeline):
    for status in ("planned", "arrived", "arrived", "finished", "arrived"):
        pipeline.write(encounter(status))
    pipeline.delete("Encounter", "e")
    found, told = preview(pipeline, "Encounter?status=arrived", *transitions("enter", "leave", "delete"))
    assert found == ["e/5", "e/2"]      # of what left, no content is shown
    assert told == [f"Encounter/e/_history/{number}: {change}" for number, change in (
        (6, "delete"), (5, "enter"), (4, "leave"), (2, "enter"))]


def test_preview_refuses_an_event_that_is_not_there(pipeline):
    asked = {"resourceType": "Subscription", "status": "requested", "reason": "try", "criteria": "Encounter",
             "channel": {"type": "websocket"}, "extension": [reference(TOPICS, "EventDefinition/none")]}
    assert_refused(pipeline.client.post("Subscription/$preview", asked), 422, "EventDefinition/none")


def test_explain_tells_which_event_fired(pipeline):
    pipeline.subscribe("Encounter?subject=Patient/b", extension=[reference(TOPICS, "arrival")])
    pipeline.write(encounter("planned"))
    written = pipeline.write(encounter("arrived"))
    pipeline.match()
    response = pipeline.client.get(f"Subscription/sub/$explain?resource=Encounter/e/_history/{written.version_id}")
    [event] = parts(response, "event")
    assert event == {"reference": "EventDefinition/arrival", "name": "arrival", "operator": "union", "match": True}
    told = explain_parts(response)
    assert told["match"] is False and told["predicate"]["subject"] is False
    pipeline.write(encounter("arrived"))
    [event] = parts(pipeline.client.get("Subscription/sub/$explain?resource=Encounter/e"), "event")
    assert event["match"] is False


def explain_parts(response):
    found = {one["name"]: value(one) for one in response.resource["parameter"] if "part" not in one}
    found["predicate"] = {one["parameter"]: one["match"] for one in parts(response, "predicate")}
    return found


def test_explain_tells_compartments_and_filters(pipeline):
    pipeline.write({"resourceType": "Group", "id": "g", "type": "person", "actual": True,
                    "member": [{"entity": {"reference": "Patient/a"}}]})
    pipeline.subscribe("Encounter", extension=[
        reference(TOPICS, "arrival"), reference(TOPICS, "EventDefinition/of-patient"),
        parameter("patient", "Patient/b"), reference(COMPARTMENT, "Group/g")])
    pipeline.match()
    pipeline.write(encounter("arrived"))
    pipeline.match()
    response = pipeline.client.get("Subscription/sub/$explain?resource=Encounter/e")
    assert explain_parts(response)["match"] is False
    assert [(one["reference"], one["match"]) for one in parts(response, "event")] == [
        ("EventDefinition/arrival", True), ("EventDefinition/of-patient", False)]
    [compartment] = parts(response, "compartment")
    assert compartment["asked"] == "Group/g" and compartment["match"] is True
    assert [one["code"] for one in parts(response, "reason")] == ["no-match"]


def test_explain_tells_what_hindered_an_event(pipeline):
    for id, expression in (("back", "status = 'arrived' and %previous.status != 'arrived'"),
                           ("broken", "(status | class.code).substring(0) = 'x'")):
        define(pipeline, id, expression)
    pipeline.subscribe("Encounter", extension=[reference(TOPICS, f"EventDefinition/{id}") for id in ("back", "broken")])
    pipeline.match()
    pipeline.write(encounter("arrived"))
    pipeline.match()
    hints = [one["hint"] for one in parts(pipeline.client.get("Subscription/sub/$explain?resource=Encounter/e"), "event")]
    assert "on a create %previous is empty" in hints[0] and "does not fit the values" in hints[1]


def test_explain_of_a_delete_tells_the_version_that_was_deleted(pipeline):
    pipeline.subscribe("Encounter?status=arrived", extension=transitions("delete"))
    pipeline.write(encounter("arrived"))
    pipeline.delete("Encounter", "e")
    pipeline.match()
    response = pipeline.client.get("Subscription/sub/$explain?resource=Encounter/e")
    assert explain_parts(response).items() >= {
        "match": True, "transition": "delete", "predicate": {"type": True, "status": True}}.items()
    assert [one["code"] for one in parts(response, "reason")] == ["waiting"]


def test_explain_says_that_the_event_is_gone(pipeline):
    pipeline.subscribe("Encounter", extension=[reference(TOPICS, "arrival")])
    pipeline.match()
    pipeline.delete("EventDefinition", "arrival")
    pipeline.write(encounter("arrived"))
    pipeline.match()
    told = explain(pipeline, "Encounter/e")
    assert told["match"] is False and "unusable" in told["reason"]


def test_explain_passes_over_reads_that_the_subscription_does_not_ask_for(pipeline):
    pipeline.subscribe("Encounter")
    pipeline.write({"resourceType": "EventDefinition", "id": "seen", "status": "active", "trigger": [
        {"type": "data-accessed", "data": [{"type": "Encounter"}]}]})
    pipeline.subscribe("Encounter", id="reads", extension=[reference(TOPICS, "EventDefinition/seen")])
    pipeline.match()
    pipeline.write(encounter("arrived"))
    assert pipeline.client.get("Encounter/e").status_code == 200
    pipeline.match()
    assert explain(pipeline, "Encounter/e")["match"] is True
    response = pipeline.client.get("Subscription/reads/$explain?resource=Encounter/e")
    assert explain_parts(response)["match"] is True and parts(response, "event")[0]["match"] is True
    assert pipeline.events("reads") == [(1, "Encounter/e/1")]


def test_explain_follows_the_chains_of_the_criteria(pipeline):
    pipeline.write({"resourceType": "Patient", "id": "a", "generalPractitioner": [{"reference": "Practitioner/d"}]})
    pipeline.subscribe("Encounter?patient.general-practitioner=Practitioner/d")
    for patient in "ab":
        pipeline.write(encounter("arrived", patient, id=patient))
    pipeline.match()
    told = explain(pipeline, "Encounter/a")
    assert told["match"] is True and "waiting" in told["reason"]
    [chain] = [parts for name, parts in told["predicate"].items() if name != "type"]
    assert (chain["parameter"], chain["asked"], chain["found"], chain["match"]) == (
        ["patient:Patient.general-practitioner"], ["Practitioner/d"], ["Practitioner/d"], [True])
    assert explain(pipeline, "Encounter/b")["match"] is False
