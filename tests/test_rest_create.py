"""create and conditional create. Spec: https://hl7.org/fhir/R4/http.html#create, reliability C3.1, C3.5, C3.6"""
import re
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
from fhir_client import BASE, assert_refused, client, identified, observation, patient  # noqa: F401

from fhirsub.fhir.instants import parse_instant


def test_create_answers_location_etag_and_last_modified(client):
    """C3.1: 201, Location [base]/T/id/_history/vid, ETag W/"vid", Last-Modified"""
    response = client.post("Patient", patient(gender="female"))
    stored = response.resource
    assert response.status_code == 201
    assert response.headers["Location"] == f"{BASE}/Patient/{stored['id']}/_history/1"
    assert response.headers["ETag"] == 'W/"1"'
    modified = parsedate_to_datetime(response.headers["Last-Modified"])
    assert modified == parse_instant(stored["meta"]["lastUpdated"]).replace(microsecond=0)
    assert stored["gender"] == "female" and stored["meta"]["versionId"] == "1"


def test_create_ignores_the_clients_id_and_version(client):
    """C3.1: id and meta.versionId/lastUpdated of the client ignored"""
    meta = {"versionId": "77", "lastUpdated": "2001-01-01T00:00:00Z", "tag": [{"code": "kept"}]}
    stored = client.create(patient(id="mine", meta=meta))
    assert stored["id"] != "mine" and stored["meta"]["versionId"] == "1"
    assert not stored["meta"]["lastUpdated"].startswith("2001")
    assert stored["meta"]["tag"] == [{"code": "kept"}]
    assert client.get("Patient/mine").status_code == 404


def test_create_ignores_even_an_id_that_is_none(client):
    assert re.fullmatch("[0-9a-f-]{36}", client.create(patient(id="no id at all"))["id"])


def test_create_keeps_the_digits_of_decimals_and_extensions_of_primitives(client):
    text = ('{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00},'
            '"_status":{"extension":[{"url":"urn:x","valueDecimal":0.10}]}}')
    stored = client.post("Observation", text)
    read = client.get(f"Observation/{stored.resource['id']}").text
    assert '"value":1.00' in read and '"valueDecimal":0.10' in read and '"_status"' in read


@pytest.mark.parametrize("body, status, words", [
    ("", 400, ["body"]),
    ("{not json", 400, ["JSON"]),
    ("[]", 400, ["object"]),
    ("3", 400, ["object"]),
    ("null", 400, ["object"]),
    ('{"resourceType": "Observation"}', 400, ["Patient", "Observation"]),
    ('{"name": []}', 400, ["resourceType"]),
    ('{"resourceType": "Patient", "gender": "x"}', 422, ["gender"]),
    ('{"resourceType": "Patient", "nonsense": 1}', 422, ["nonsense"]),
    ('{"resourceType": "Patient", "name": ' + "[" * 200 + "]" * 200 + "}", 400, ["nested"]),
    (b'{"resourceType": "Patient", "id": "\xff"}', 400, []),
    ('{"resourceType": "Patient", "name": [{"family": "a\\u0000b"}]}', 422, ["family"]),
    ('{"resourceType": "Patient", "name": [{"family": "a\\ud800b"}]}', 400, []),
])
def test_create_refuses_what_is_no_such_resource(client, body, status, words):
    assert_refused(client.post("Patient", body), status, *words)
    assert client.count("Patient") == 0


def test_create_names_the_element_it_refuses(client):
    response = client.post("Patient", patient(name=[{"given": ["A", 3]}]))
    assert_refused(response, 422)
    assert response.resource["issue"][0]["expression"] == ["Patient.name[0].given[1]"]


@pytest.mark.parametrize("condition", ["identifier=urn:mrn|1", "?identifier=urn:mrn|1", "Patient?identifier=urn:mrn%7C1"])
def test_conditional_create_writes_only_when_nothing_matches(client, condition):
    """C3.5: If-None-Exist: 0 = 201, 1 = 200 (nothing written, no event)"""
    first = client.post("Patient", identified("1"), If_None_Exist=condition)
    again = client.post("Patient", identified("1", gender="male"), If_None_Exist=condition)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.resource == first.resource
    assert again.headers["Location"] == first.headers["Location"]
    assert client.get("_history?_count=0").resource["total"] == 1


def test_conditional_create_refuses_several_matches(client):
    """C3.5: >1 = 412"""
    client.create(identified("1"))
    client.create(identified("1"))
    assert_refused(client.post("Patient", identified("1"), If_None_Exist="identifier=1"), 412, "several")
    assert client.count("Patient") == 2


@pytest.mark.parametrize("condition, status", [
    ("", 412), ("nonsense=1", 400), ("identifier=1&nonsense=1", 400), ("_format=json", 412), ("birthdate=x", 400)])
def test_conditional_create_refuses_condition_that_is_not_understood(client, condition, status):
    assert_refused(client.post("Patient", patient(), If_None_Exist=condition), status)
    assert client.count("Patient") == 0


def test_parallel_conditional_creates_make_one_resource(client):
    """C3.6: 20 parallel same-key creates give 1 resource and 1 event"""
    def create(number):
        return client.post("Patient", identified("same"), If_None_Exist="identifier=urn:mrn|same")

    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(create, range(20)))
    assert sorted(response.status_code for response in responses) == [200] * 19 + [201]
    assert len({response.resource["id"] for response in responses}) == 1
    assert client.get("_history?_count=0").resource["total"] == 1


def test_create_takes_a_resource_of_each_kind_of_name(client):
    assert client.create(observation())["resourceType"] == "Observation"
    assert client.create({"resourceType": "List", "status": "current", "mode": "working"})["id"]
