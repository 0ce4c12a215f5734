"""Events raised by their name. Spec: https://hl7.org/fhir/R4/triggerdefinition.html"""
from datetime import datetime, timezone

import pytest
from fhir_client import assert_refused, client, patient  # noqa: F401
from sqlalchemy import select

import fhirsub
from fhirsub import raising
from fhirsub.errors import Unprocessable
from fhirsub.fhir.extensions import TOPICS
from fhirsub.store import changes
from fhirsub.store.tables import change

NOW = datetime(2024, 5, 1, tzinfo=timezone.utc)
URL = "http://example.org/EventDefinition/admit"


def definition(id="admit", name="patient-admit", trigger=None, **more):
    trigger = {"type": "named-event", "name": name} | (trigger or {})
    return {"resourceType": "EventDefinition", "id": id, "status": "active", "name": name, "trigger": [trigger], **more}


def conditional(**more):
    return definition(trigger={"data": [{"type": "Patient"}],
                               "condition": {"language": "text/fhirpath", "expression": "active"}}, **more)


@pytest.fixture
def admission(client):
    """A client of a server that holds the event ``patient-admit`` and Patient/p."""
    assert client.put("EventDefinition/admit", definition(url=URL, version="2")).status_code == 201
    assert client.put("Patient/p", patient(id="p", active=True)).status_code == 201
    return client


def parameters(focus="Patient/p", *context):
    references = [("focus", focus)] * (focus is not None) + [("context", one) for one in context]
    return {"resourceType": "Parameters", "parameter": [
        {"name": name, "valueReference": {"reference": reference}} for name, reference in references]}


def raised(client):
    """The events in the log, ``[("Patient/p/1", "admit", ("Patient/1",)), …]``."""
    with client.server.database.read() as tx:
        raising = select(change.c.seq).where(change.c.interaction == "raise").order_by(change.c.seq)
        seqs = tx.execute(raising).scalars().all()
        found = changes.load(tx, seqs)
    return [(f"{one.type}/{one.id}/{one.version_id}", one.topic_id, one.context) for one in map(found.get, seqs)]


def raise_event(client, event="patient-admit", focus="Patient/p", context=(), connection=None):
    return raising.raise_event(client.server.database, event, focus=focus, context=context, connection=connection,
                               base_url="http://localhost/fhir", now=NOW)


def test_raise_records_a_change_of_the_current_version(admission):
    answer = admission.post("EventDefinition/admit/$raise", parameters("Patient/p", "Location/3", "Practitioner/4"))
    assert answer.status_code == 202 and answer.resource["issue"][0]["severity"] == "information"
    assert raised(admission) == [("Patient/p/1", "admit", ("Location/3", "Practitioner/4"))]


def test_raise_is_given_the_resource_as_it_stood(admission):
    admission.post("EventDefinition/admit/$raise", parameters("http://localhost/fhir/Patient/p"))
    admission.put("Patient/p", patient(id="p", active=False))
    with admission.server.database.read() as tx:
        event = next(one for one in changes.pending(tx, 9) if one.interaction == "raise")
    assert event.resource["active"] is True and event.base_url == "http://localhost/fhir"


@pytest.mark.parametrize("body, words", [
    (parameters("Patient/other"), "holds no Patient/other"),
    (parameters("http://elsewhere.org/fhir/Patient/p"), "expected a resource of this server"),
    (parameters("Patient/p/_history/1"), "as Type/id"),
    ({"resourceType": "Parameters"}, "0 times focus"),
    (parameters(None, "Patient/p"), "0 times focus"),
    ({"resourceType": "Parameters", "parameter": [{"name": "subject", "valueReference": {"reference": "Patient/p"}}]},
     "got 'subject'"),
    ({"resourceType": "Parameters", "parameter": [{"name": "focus", "valueString": "Patient/p"}]}, "expected focus"),
])
def test_raise_refuses_other_parameters_and_a_focus_that_is_not_here(admission, body, words):
    assert_refused(admission.post("EventDefinition/admit/$raise", body), 422, words)
    assert raised(admission) == []


def test_event_about_any_resource_is_raised_about_each(admission):
    admission.put("EventDefinition/any", definition("any", "any", {"data": [{"type": "Resource"}]}))
    assert admission.post("EventDefinition/any/$raise", parameters()).status_code == 202


@pytest.mark.parametrize("other, words", [
    (conditional(), "fires by itself"),
    (definition(status="draft"), "is draft"),
    (definition(trigger={"type": "data-added", "data": [{"type": "Patient"}]}), "fires by itself"),
    (definition(extension=[{"url": TOPICS, "valueReference": {"reference": "Firehose"}}]), "fires by itself"),
    (definition(trigger={"data": [{"type": "Encounter"}, {"type": "Appointment"}]}), "about Appointment or Encounter"),
])
def test_raise_refuses_an_event_that_is_not_raised(admission, other, words):
    admission.put("EventDefinition/admit", other)
    assert_refused(admission.post("EventDefinition/admit/$raise", parameters()), 422, words)


def test_raise_refuses_what_is_no_event(admission):
    assert_refused(admission.post("EventDefinition/none/$raise", parameters()), 404, "EventDefinition/none")
    admission.delete("EventDefinition/admit")
    assert_refused(admission.post("EventDefinition/admit/$raise", parameters()), 410)
    assert_refused(admission.post("EventDefinition/admit/$raise", patient()), 400, "expected Parameters")
    assert_refused(admission.get("EventDefinition/admit/$raise"), 405)


def test_raise_is_listed(client):
    [listed] = (one for one in client.get("metadata").resource["rest"][0]["resource"] if one["type"] == "EventDefinition")
    assert [one["name"] for one in listed["operation"]] == ["raise"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_raise_in_a_bundle_is_about_what_the_bundle_wrote(admission, kind):
    focus = "urn:uuid:0c3c7f5e-0000-4000-8000-000000000001" if kind == "transaction" else "Patient/p"
    entries = [{"fullUrl": focus, "resource": patient(), "request": {"method": "POST", "url": "Patient"}},
               {"resource": parameters(focus), "request": {"method": "POST", "url": "EventDefinition/admit/$raise"}}]
    answer = admission.post("", {"resourceType": "Bundle", "type": kind, "entry": entries[kind == "batch":]}).resource
    said = answer["entry"][-1]["response"]
    assert said["status"] == "202 Accepted" and "recorded" in said["outcome"]["issue"][0]["diagnostics"]
    new = answer["entry"][0]["response"]["location"].split("/")[-3] if kind == "transaction" else "p"
    assert [focus for focus, *_ in raised(admission)] == [f"Patient/{new}/1"]


@pytest.mark.parametrize("event", ["patient-admit", URL, f"{URL}|2", "EventDefinition/admit",
                                   "http://localhost/fhir/EventDefinition/admit"])
def test_event_is_raised_by_name_canonical_and_reference(admission, event):
    raise_event(admission, event, context=["Location/3"])
    assert raised(admission) == [("Patient/p/1", "admit", ("Location/3",))]


def test_event_is_raised_about_a_resource_of_the_host(admission):
    encounter = {"resourceType": "Encounter", "id": "e", "meta": {"versionId": "v7"}, "status": "arrived"}
    raise_event(admission, focus=encounter)
    assert raised(admission) == [("Encounter/e/v7", "admit", ())]
    with pytest.raises(Unprocessable, match="with an id"):
        raise_event(admission, focus={"resourceType": "Encounter"})


def test_event_is_raised_with_the_transaction_of_the_host_or_not_at_all(admission):
    with pytest.raises(RuntimeError, match="undone"), admission.server.database.engine.begin() as connection:
        raise_event(admission, connection=connection)
        raise RuntimeError("undone")
    assert raised(admission) == []
    with admission.server.database.engine.begin() as connection:
        raise_event(admission, connection=connection)
    assert len(raised(admission)) == 1


def test_event_that_is_unknown_or_ambiguous_is_refused(admission):
    with pytest.raises(Unprocessable, match="no active EventDefinition"):
        raise_event(admission, "patient-discharge")
    with pytest.raises(Unprocessable, match="no active EventDefinition"):
        raise_event(admission, f"{URL}|1")
    admission.put("EventDefinition/other", definition("other"))
    with pytest.raises(Unprocessable, match="several active"):
        raise_event(admission)
    with pytest.raises(Unprocessable, match="list of references"):
        raise_event(admission, "EventDefinition/admit", context="Patient/1")


def test_event_is_raised_in_the_current_application(sqlite_url, tmp_path):
    app = fhirsub.create_app(DATABASE=sqlite_url, WORKERS=False, SECRET_KEY_FILE=str(tmp_path / "key"))
    with app.app_context(), pytest.raises(Unprocessable, match="no active EventDefinition"):
        fhirsub.raise_event("patient-admit", focus="Patient/p")
    app.extensions["fhirsub"].stop()
