"""EventDefinition as a client may write it, and Subscriptions to it: https://hl7.org/fhir/R4/eventdefinition.html"""
import pytest
from fhir_client import assert_refused, make_client
from pipeline import Pipeline
from topics import definition, encounter, subscription, trigger

from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.event_door import EventDefinitionDoor
from fhirsub.subscriptions.secrets import Vault

ADMIT = "$this.status = 'arrived' and %previous.status != 'arrived'"
CHANNELS = {"rest-hook": object()}


@pytest.fixture
def client(database):
    doors = {"EventDefinition": EventDefinitionDoor(), "Subscription": SubscriptionDoor(CHANNELS, Vault("x" * 43 + "="))}
    return make_client(database, doors, CHANNELS)


def put(client, resource):
    return client.put(f"{resource['resourceType']}/{resource['id']}", resource)


def define(client, *given, **more):
    response = put(client, definition(*given, **more))
    assert response.status_code in (200, 201), response.text
    return response.resource


def test_definition_is_stored_searched_and_deleted(client):
    define(client, "admit", trigger(expression=ADMIT), name="patient-admit", url="http://acme.org/admit", version="2",
           title="Admission")
    for query in ("name=patient-admit", "url=http://acme.org/admit", "url=http://acme.org/admit|2", "title=adm", "status=active",
                  "version=2"):
        assert [one["resource"]["id"] for one in client.get(f"EventDefinition?{query}").resource["entry"]] == ["admit"], query
    assert client.delete("EventDefinition/admit").status_code == 204


# The forms in which the example goes round, each with a hint that leads to the one that works.
@pytest.mark.parametrize(("more", "where", "words"), [
    ({"trigger": trigger(expression=ADMIT)}, "EventDefinition.trigger", "expected an array"),
    ({"trigger": [trigger(expression="this.status == 'arrived'")]}, "EventDefinition.trigger[0].condition.expression", "says ="),
    ({"trigger": [trigger(condition={"expression": "this.status == 'arrived'"})]},
     "EventDefinition.trigger[0].condition.language", "text/fhirpath"),
    ({"trigger": [trigger(condition={"language": "text/cql", "expression": "true"})]},
     "EventDefinition.trigger[0].condition.language", "text/fhirpath"),
    ({"status": None}, "EventDefinition.status", "active"),
    ({"trigger": [{"type": "named-event"}]}, "EventDefinition.trigger[0]", "trd-3"),
    # fails on any resource, so it is told when it is stored
    ({"trigger": [trigger(expression="'a'.toInteger() + 'b' = 'c' or (1 | 2).single() = 1")]},
     "EventDefinition.trigger[0].condition.expression", "")])
def test_form_that_would_not_work_is_refused_with_a_hint(client, more, where, words):
    sent = {name: value for name, value in (definition("d", trigger()) | more).items() if value is not None}
    response = put(client, sent)
    assert_refused(response, 422)
    issue = response.resource["issue"][0]
    assert issue["expression"] == [where] and words in issue["diagnostics"], issue


def test_composition_must_lead_to_an_end(client):
    define(client, "a", trigger("data-added"))
    define(client, "b", topics=["EventDefinition/a"])
    define(client, "c", topics=["EventDefinition/b"])
    response = put(client, definition("b", topics=["EventDefinition/a", "EventDefinition/c"]))
    assert_refused(response, 422)
    assert "EventDefinition/b is composed of itself" in response.resource["issue"][0]["diagnostics"]
    response = put(client, definition("d", topics=["EventDefinition/d"]))
    assert "none that this server holds" in response.resource["issue"][0]["diagnostics"]


def test_composition_may_be_eight_deep_and_no_deeper(client):
    define(client, "t0", trigger("data-added"))
    for depth in range(1, 9):
        define(client, f"t{depth}", topics=[f"EventDefinition/t{depth - 1}"])
    response = put(client, definition("t9", topics=["EventDefinition/t8"]))
    assert_refused(response, 422)
    assert "deeper than 8" in response.resource["issue"][0]["diagnostics"]


@pytest.mark.parametrize("reference", [
    "EventDefinition/admit", "http://localhost/fhir/EventDefinition/admit", "http://acme.org/admit", "http://acme.org/admit|2",
    "patient-admit", "Firehose"])
def test_subscription_names_an_event(client, reference):
    define(client, "admit", trigger(expression=ADMIT), name="patient-admit", url="http://acme.org/admit", version="2")
    response = put(client, subscription("Patient/1", [reference]))
    assert response.status_code == 201, response.text
    assert response.resource["status"] == "active"


@pytest.mark.parametrize(("asked", "more", "where", "words"), [
    (("Patient/1", ["EventDefinition/none"]), {}, "Subscription.extension[0]", "none that this server holds"),
    (("Patient/1", ["draft"]), {}, "Subscription.extension[0]", "none that this server holds"),
    (("Group/5",), {}, "Subscription.criteria", "holds no Group/5"),
    (("Encounter",), {"compartments": ["List/5"]}, "Subscription.criteria", "holds no List/5"),
    (("Observation?code=x", ["admit"]), {}, "Subscription.criteria", "never about Observation"),
    (("Encounter", ["admit"]), {"parameters": {"x": "1"}}, "Subscription.extension", "'x'"),
    (("Encounter", ["admit"]), {"transitions": ["in"]}, "Subscription.extension[1].valueCode", "enter"),
    (("Nonsense/1", ["admit"]), {}, "Subscription.criteria", "Nonsense/1")])
def test_subscription_to_what_cannot_happen_is_refused(client, asked, more, where, words):
    define(client, "admit", trigger(expression=ADMIT))
    define(client, "draft", trigger(), status="draft")
    response = put(client, subscription(*asked, **more))
    assert_refused(response, 422)
    issue = response.resource["issue"][0]
    assert issue["expression"] == [where] and words in issue["diagnostics"], issue


def test_subscription_follows_a_group_that_is_here(client):
    put(client, {"resourceType": "Group", "id": "5", "type": "person", "actual": True})
    assert put(client, subscription("Group/5")).status_code == 201


def test_name_of_several_definitions_is_refused(client):
    for id in "ab":
        define(client, id, trigger("data-added"), name="twice")
    response = put(client, subscription("Encounter", ["twice"]))
    assert_refused(response, 422)
    assert "several active EventDefinitions" in response.resource["issue"][0]["diagnostics"]


def test_definition_in_use_is_kept(client, database):
    define(client, "admit", trigger(expression=ADMIT))
    define(client, "all", topics=["EventDefinition/admit"])
    put(client, subscription("Patient/1", ["EventDefinition/admit"]))
    pipeline = Pipeline(database)
    pipeline.match()
    response = client.delete("EventDefinition/admit")
    assert_refused(response, 409)
    assert "1 active Subscriptions and 1 EventDefinitions" in response.resource["issue"][0]["diagnostics"]
    assert client.get("EventDefinition/admit").status_code == 200
    client.delete("Subscription/s")
    client.delete("EventDefinition/all")
    pipeline.match()
    assert client.delete("EventDefinition/admit").status_code == 204


def test_connectathon_event_reaches_the_subscription_of_one_patient(client, database):
    define(client, "admit", trigger(expression=ADMIT))
    put(client, subscription("Patient/1", ["EventDefinition/admit"]))
    pipeline, seen = Pipeline(database), []
    for written in (encounter("planned"), encounter("planned", "Patient/2", id="f"), encounter("arrived", "Patient/2", id="f"),
                    encounter("arrived"), encounter("arrived", language="de")):
        put(client, written | {"class": {"code": "IMP"}})
        pipeline.match()
        seen.append(len(pipeline.events("s")))
    assert seen == [0, 0, 0, 1, 1]


@pytest.mark.parametrize("backwards", [False, True])
def test_subscription_and_what_it_names_come_in_one_transaction(client, backwards):
    event, team = (f"urn:uuid:6f5c6c1e-0000-4000-8000-00000000000{number}" for number in "12")
    asked = subscription("Patient/1", [event], compartments=[team])
    group = {"resourceType": "Group", "type": "person", "actual": True}
    entries = [{"fullUrl": event, "resource": definition("any", trigger("data-changed")),
                "request": {"method": "POST", "url": "EventDefinition"}},
               {"fullUrl": team, "resource": group, "request": {"method": "POST", "url": "Group"}},
               {"resource": asked, "request": {"method": "PUT", "url": "Subscription/s"}}]
    entries = entries[::-1] if backwards else entries
    answer = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 200, answer.text
    listed, inside = client.get("Subscription/s").resource["extension"]
    assert listed["valueReference"]["reference"].startswith("EventDefinition/")
    assert inside["valueReference"]["reference"].startswith("Group/")
    assert_refused(put(client, asked), 422)


def test_definition_that_changes_its_own_meaning_is_refused(client):
    for name, value in (("modifierExtension", [{"url": "http://acme.org/x", "valueBoolean": True}]),
                        ("implicitRules", "http://acme.org/rules")):
        assert_refused(put(client, definition("d", trigger("data-added"), **{name: value})), 422, f"EventDefinition.{name}")


def test_definitions_that_name_each_other_a_thousand_ways_are_checked_at_once(client):
    define(client, "t0", trigger("data-added"))
    for depth in range(1, 9):
        define(client, f"t{depth}", topics=[f"EventDefinition/t{depth - 1}"] * 20)
    assert put(client, subscription("Encounter", ["t8"])).status_code == 201
    assert_refused(put(client, definition("t9", topics=["EventDefinition/t8"])), 422)
