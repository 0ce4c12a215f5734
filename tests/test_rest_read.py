"""read, vread and their conditions. Spec: https://hl7.org/fhir/R4/http.html#read, reliability C3.3"""
from datetime import timedelta

import pytest
from fhir_client import assert_refused, client, patient  # noqa: F401
from werkzeug.http import http_date

from fhirsub.fhir.instants import parse_instant


@pytest.fixture
def stored(client):
    return client.create(patient(gender="female", name=[{"family": "A"}]))


def test_read_answers_the_stored_text(client, stored):
    response = client.get(f"Patient/{stored['id']}")
    assert response.status_code == 200 and response.resource == stored
    assert response.headers["ETag"] == 'W/"1"' and response.headers["Last-Modified"]
    assert response.content_type == "application/fhir+json; charset=utf-8"


def test_read_of_unknown_is_404(client):
    """C3.3: unknown 404"""
    assert_refused(client.get("Patient/nobody"), 404, "Patient/nobody", code="not-found")


def test_read_of_deleted_is_410(client, stored):
    """C3.3: read deleted 410; vread of the deleting version 410"""
    path = f"Patient/{stored['id']}"
    client.delete(path)
    assert_refused(client.get(path), 410, code="deleted")
    assert_refused(client.get(f"{path}/_history/2"), 410, code="deleted")
    assert client.get(f"{path}/_history/1").resource == stored


def test_vread_answers_that_version(client, stored):
    path = f"Patient/{stored['id']}"
    client.put(path, patient(id=stored["id"], gender="male"))
    old, new = client.get(f"{path}/_history/1"), client.get(f"{path}/_history/2")
    assert old.resource == stored and old.headers["ETag"] == 'W/"1"'
    assert new.resource["gender"] == "male" and new.resource["meta"]["versionId"] == "2"


@pytest.mark.parametrize("version", ["3", "0", "-1", "x", "1.0", "99999999999999999999", "１"])
def test_vread_of_unknown_version_is_404(client, stored, version):
    assert_refused(client.get(f"Patient/{stored['id']}/_history/{version}"), 404)


@pytest.mark.parametrize("tag, status", [
    ('W/"1"', 304), ('"1"', 304), ("1", 304), ('W/"0", W/"1"', 304), ("*", 304), ('W/"2"', 200), ('W/"11"', 200)])
def test_read_answers_304_when_the_client_has_that_version(client, stored, tag, status):
    """C3.3: If-None-Match 304"""
    response = client.get(f"Patient/{stored['id']}", If_None_Match=tag)
    assert response.status_code == status
    assert bool(response.data) == (status == 200)
    assert response.headers["ETag"] == 'W/"1"'


@pytest.mark.parametrize("seconds, status", [(0, 304), (60, 304), (-60, 200)])
def test_read_answers_304_when_nothing_changed_since(client, stored, seconds, status):
    """C3.3: If-Modified-Since 304"""
    since = parse_instant(stored["meta"]["lastUpdated"]) + timedelta(seconds=seconds)
    assert client.get(f"Patient/{stored['id']}", If_Modified_Since=http_date(since)).status_code == status


def test_read_ignores_if_modified_since_beside_if_none_match_and_when_it_is_no_date(client, stored):
    path = f"Patient/{stored['id']}"
    later = http_date(parse_instant(stored["meta"]["lastUpdated"]) + timedelta(hours=1))
    assert client.get(path, If_None_Match='W/"9"', If_Modified_Since=later).status_code == 200
    assert client.get(path, If_Modified_Since="yesterday").status_code == 200


@pytest.mark.parametrize("path", ["Patient/{id}", "Patient/{id}/_history/1", "Patient?gender=female", "metadata"])
def test_head_answers_the_headers_of_get(client, stored, path):
    """C3.3: HEAD works"""
    path = path.format(id=stored["id"])
    head, get = client.request("HEAD", path), client.get(path)
    assert head.status_code == 200 and head.data == b""
    for name in ("ETag", "Last-Modified", "Content-Type", "Content-Length"):
        assert head.headers.get(name) == get.headers.get(name)


@pytest.mark.parametrize("query, there, gone", [
    ("_summary=text", [], ["name", "gender"]),
    ("_summary=data", ["name", "gender"], ["text"]),
    ("_summary=true", ["name", "gender"], ["text"]),
    ("_elements=gender", ["gender"], ["name"]),
    ("_summary=false", ["name", "gender"], []),
])
def test_read_sends_a_part(client, stored, query, there, gone):
    part = client.get(f"Patient/{stored['id']}?{query}").resource
    assert all(name in part for name in there) and not any(name in part for name in gone)
    assert ("SUBSETTED" in str(part["meta"])) == (query != "_summary=false")


def test_read_refuses_summary_that_is_none(client, stored):
    assert_refused(client.get(f"Patient/{stored['id']}?_summary=yes"), 400, "_summary", "count")


@pytest.mark.parametrize("id", ["a b", "x" * 65, "ä", "a_b", "%00"])
def test_read_of_what_cannot_be_an_id_is_404(client, id):
    assert_refused(client.get(f"Patient/{id}"), 404)
