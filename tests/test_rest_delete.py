"""delete and conditional delete. Spec: https://hl7.org/fhir/R4/http.html#delete, reliability C3.3-C3.5"""
import pytest
from fhir_client import assert_refused, client, identified, patient  # noqa: F401


def test_delete_answers_204_again_and_again(client):
    """C3.4: delete 204/200, again 204"""
    path = f"Patient/{client.create(patient())['id']}"
    first = client.delete(path)
    assert (first.status_code, first.data, first.headers["ETag"]) == (204, b"", 'W/"2"')
    assert client.delete(path).status_code == 204
    assert client.get(f"{path}/_history?_count=0").resource["total"] == 2


def test_delete_of_what_never_was_answers_204_and_writes_nothing(client):
    assert client.delete("Patient/nobody").status_code == 204
    assert_refused(client.get("Patient/nobody"), 404)


def test_delete_says_so_when_asked(client):
    """C3.4: delete 204/200"""
    path = f"Patient/{client.create(patient())['id']}"
    response = client.delete(path, Prefer="return=OperationOutcome")
    assert response.status_code == 200 and response.resource["resourceType"] == "OperationOutcome"


def test_deleted_resource_is_found_no_more(client):
    stored = client.create(identified("1"))
    client.delete(f"Patient/{stored['id']}")
    assert client.count("Patient") == client.count("Patient?identifier=1") == 0


@pytest.mark.parametrize("tag, status", [('W/"1"', 204), ('W/"2"', 412)])
def test_delete_holds_to_if_match(client, tag, status):
    path = f"Patient/{client.create(patient())['id']}"
    assert client.delete(path, If_Match=tag).status_code == status
    assert client.get(path).status_code == (410 if status == 204 else 200)


def test_conditional_delete_deletes_the_one_that_matches(client):
    """C3.5"""
    stored = client.create(identified("1"))
    client.create(identified("2"))
    assert client.delete("Patient?identifier=urn:mrn|1").status_code == 204
    assert client.get(f"Patient/{stored['id']}").status_code == 410
    assert client.count("Patient") == 1
    assert client.delete("Patient?identifier=urn:mrn|1").status_code == 204


def test_conditional_delete_refuses_several_matches(client):
    """C3.5: Conditional delete >1 = 412 or all"""
    client.create(identified("1"))
    client.create(identified("1"))
    assert_refused(client.delete("Patient?identifier=urn:mrn|1"), 412, "several")
    assert client.count("Patient") == 2


@pytest.mark.parametrize("query, status", [("", 412), ("?nonsense=1", 400), ("?_count=1", 400), ("?identifier=", 400)])
def test_conditional_delete_refuses_condition_that_selects_too_much(client, query, status):
    client.create(patient())
    assert_refused(client.delete(f"Patient{query}"), status)
    assert client.count("Patient") == 1
