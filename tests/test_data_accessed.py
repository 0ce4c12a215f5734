"""Reads as changes, where an EventDefinition asks for them. Spec: https://hl7.org/fhir/R4/triggerdefinition.html"""
import pytest
from fhir_client import client, patient  # noqa: F401
from sqlalchemy import insert, select

from fhirsub.store.tables import change, topic, topic_key


@pytest.fixture
def read_patient(client):
    """A client whose server holds Patient/p in two versions, the second one deleted, and Patient/q."""
    client.put("Patient/p", patient(id="p"))
    client.delete("Patient/p")
    client.put("Patient/q", patient(id="q"))
    return client


def ask(client, key):
    """A topic that is switched on and tried on such changes."""
    with client.server.database.write() as tx:
        tx.execute(insert(topic).values(id="t", version_id=1, base_url="", content="{}"))
        tx.execute(insert(topic_key).values(key=key, topic_id="t"))


def reads(client):
    with client.server.database.read() as tx:
        rows = tx.execute(select(change).where(change.c.interaction == "read").order_by(change.c.seq)).all()
    return [f"{row.type}/{row.id}/{row.version_id}" for row in rows if row.topic_id is None and not row.matched]


def test_read_is_no_change_when_nobody_asks(read_patient):
    ask(read_patient, "Observation read")
    assert read_patient.get("Patient/q").status_code == 200
    assert reads(read_patient) == []


@pytest.mark.parametrize("key", ["Patient read", "* read"])
def test_read_and_vread_are_changes_when_somebody_asks(read_patient, key):
    ask(read_patient, key)
    assert read_patient.get("Patient/q").status_code == 200
    assert read_patient.get("Patient/p/_history/1").status_code == 200
    assert reads(read_patient) == ["Patient/q/1", "Patient/p/1"]


def test_read_that_shows_nothing_is_no_change(read_patient):
    ask(read_patient, "* read")
    assert read_patient.get("Patient/p").status_code == 410
    assert read_patient.get("Patient/none").status_code == 404
    assert read_patient.get("Patient/q", If_None_Match='W/"1"').status_code == 304
    assert read_patient.request("HEAD", "Patient/q").status_code == 200
    assert reads(read_patient) == []


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_read_inside_a_bundle_is_a_change(read_patient, kind):
    ask(read_patient, "Patient read")
    entry = {"request": {"method": "GET", "url": "Patient/q"}}
    answer = read_patient.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
    assert answer.resource["entry"][0]["resource"]["id"] == "q"
    assert reads(read_patient) == ["Patient/q/1"]
