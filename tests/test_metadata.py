"""The CapabilityStatement. Spec: https://hl7.org/fhir/R4/capabilitystatement.html, reliability C1.12"""
from types import SimpleNamespace

import pytest
from fhir.resources.R4B.capabilitystatement import CapabilityStatement
from fhir_client import client, make_client  # noqa: F401

from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.extensions import EVENT, EVENT_FILTER, FILTER
from fhirsub.fhir.validation import check

WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"


@pytest.fixture
def statement(client):
    response = client.get("metadata")
    assert response.status_code == 200
    return response.resource


def resource(statement, name):
    return next(one for one in statement["rest"][0]["resource"] if one["type"] == name)


def test_statement_is_valid(statement):
    check(statement, "CapabilityStatement")
    CapabilityStatement.model_validate(statement)


def test_statement_says_what_this_is(statement):
    assert statement["fhirVersion"] == "4.0.1" and statement["kind"] == "instance"
    assert statement["format"] == ["application/fhir+json", "json"]
    assert statement["patchFormat"] == ["application/json-patch+json"]
    assert statement["software"]["name"] == "fhirsub" and statement["software"]["version"]
    assert statement["implementation"]["url"] == "http://localhost/fhir"


def test_statement_lists_every_type_served(statement, database):
    assert {one["type"] for one in statement["rest"][0]["resource"]} == RESOURCE_TYPES
    few = make_client(database, RESOURCE_TYPES="Patient Subscription").get("metadata").resource
    assert [one["type"] for one in few["rest"][0]["resource"]] == ["Patient", "Subscription"]


def test_statement_lists_the_interactions(statement):
    assert {one["code"] for one in resource(statement, "Patient")["interaction"]} == {
        "read", "vread", "create", "update", "patch", "delete", "search-type", "history-instance", "history-type"}
    assert {one["code"] for one in statement["rest"][0]["interaction"]} == {
        "batch", "transaction", "history-system", "search-system"}


def test_statement_says_what_is_conditional_and_versioned(statement):
    assert resource(statement, "Patient").items() >= {
        "versioning": "versioned", "readHistory": True, "updateCreate": True, "conditionalCreate": True,
        "conditionalRead": "full-support", "conditionalUpdate": True, "conditionalDelete": "single"}.items()


def test_statement_follows_the_settings(database):
    client = make_client(database, UPDATE_CREATES=False, REQUIRE_IF_MATCH=True, REFERENCES_MUST_EXIST=True, WEBSOCKET_PATH="")
    statement = client.get("metadata").resource
    of_patient = resource(statement, "Patient")
    assert of_patient["updateCreate"] is False and of_patient["versioning"] == "versioned-update"
    assert "enforced" in of_patient["referencePolicy"]
    assert "extension" not in statement["rest"][0]


def test_statement_lists_only_search_parameters_that_work(client, statement):
    listed = {one["name"]: one["type"] for one in resource(statement, "Observation")["searchParam"]}
    assert listed["code"] == "token" and listed["subject"] == "reference" and "_id" in listed
    assert listed["value-quantity"] == "quantity" and listed["code-value-quantity"] == "composite"
    for name, kind in listed.items():
        value = {"date": "2024", "reference": "urn:x", "uri": "urn:x", "quantity": "5"}.get(kind, "x")
        if kind == "composite":
            value = "x$" + ("5" if name.endswith("quantity") else "2024")
        assert client.get(f"Observation?{name}={value}", Prefer="handling=strict").status_code == 200, name


def test_statement_advertises_the_websocket(statement):
    """C1.12: … valueUri = ws(s) URL, only if enabled"""
    assert statement["rest"][0]["extension"] == [{"url": WEBSOCKET, "valueUri": "ws://localhost/fhir/websocket"}]


def test_statement_advertises_a_secure_websocket_behind_https(database):
    statement = make_client(database, BASE_URL="https://example.org/r4").get("metadata").resource
    assert statement["rest"][0]["extension"][0]["valueUri"] == "wss://example.org/r4/websocket"


def test_statement_documents_the_channels(database):
    channels = {"rest-hook": SimpleNamespace(documentation="POSTs to the endpoint"), "x-log": object()}
    client = make_client(database, channels=channels)
    text = resource(client.get("metadata").resource, "Subscription")["documentation"]
    assert "`rest-hook`: POSTs to the endpoint" in text and text.endswith("* `x-log`")


def test_statement_is_made_once(client):
    first = client.get("metadata").data
    assert client.get("metadata").data == first


def event_definition(id, *types, extension=(), **more):
    more |= {"extension": extension} if extension else {}
    return {"resourceType": "EventDefinition", "id": id, "status": "active", "trigger": [
        {"type": "named-event", "name": id, "data": [{"type": name} for name in types],
         "condition": {"language": "text/fhirpath", "expression": "status = 'arrived'"}}], **more}


def told(client, url):
    """Extensions of Subscription in the CapabilityStatement, ``[{"name": ["Firehose"]}, …]``."""
    extensions = resource(client.get("metadata").resource, "Subscription")["extension"]
    found = []
    for extension in extensions:
        if extension["url"] == url:
            found.append({})
            for part in extension["extension"]:
                [value] = (value for name, value in part.items() if name != "url")
                found[-1].setdefault(part["url"], []).append(value["reference"] if isinstance(value, dict) else value)
    return found


def test_statement_lists_the_events_that_can_be_subscribed_to(client):
    client.put("EventDefinition/arrival", event_definition("arrival", "Encounter", name="arrival", title="Arrived",
                                                           url="http://example.org/arrival", version="2"))
    firehose, arrival = told(client, EVENT)
    assert firehose == {"name": ["Firehose"]}
    assert arrival == {
        "definition": ["EventDefinition/arrival"], "canonical": ["http://example.org/arrival|2"], "name": ["arrival"],
        "title": ["Arrived"], "type": ["Encounter"],
        "compartment": ["Encounter", "Patient", "Practitioner", "RelatedPerson"]}
    check(client.get("metadata").resource, "CapabilityStatement")


def test_statement_lists_the_filters_that_each_event_allows(client):
    of_patient = event_definition("of-patient", "Encounter", extension=[{"url": FILTER, "valueBoolean": True}])
    of_patient["trigger"][0]["condition"]["expression"] = "subject.reference = %patientId"
    client.put("EventDefinition/of-patient", of_patient)
    client.put("EventDefinition/arrival", event_definition("arrival", "Encounter"))
    client.put("EventDefinition/result", event_definition("result", "Observation"))
    allowed = {one["definition"][0]: one.get("filter") for one in told(client, EVENT)[1:]}
    assert allowed == {"EventDefinition/arrival": ["EventDefinition/of-patient"], "EventDefinition/result": None}
    assert told(client, EVENT_FILTER) == [{"definition": ["EventDefinition/of-patient"], "parameter": ["patientId"]}]


def test_statement_follows_the_events_at_once(client):
    def names():
        return [one["definition"][0] for one in told(client, EVENT)[1:]]
    assert names() == []
    client.put("EventDefinition/a", event_definition("a", "Encounter", name="a"))
    client.put("EventDefinition/b", event_definition("b", "Encounter", name="b"))
    assert names() == ["EventDefinition/a", "EventDefinition/b"]
    client.put("EventDefinition/a", event_definition("a", "Encounter") | {"status": "retired"})
    assert names() == ["EventDefinition/b"]
    client.delete("EventDefinition/b")
    assert names() == []
