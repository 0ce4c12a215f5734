"""patch and conditional patch. Spec: https://hl7.org/fhir/R4/http.html#patch, reliability C3.12"""
from concurrent.futures import ThreadPoolExecutor

import pytest
from fhir_client import assert_refused, client, identified, make_client, patient  # noqa: F401

MALE = [{"op": "add", "path": "/gender", "value": "male"}]


@pytest.fixture
def stored(client):
    return client.create(identified("1", name=[{"given": ["A"]}]))


@pytest.fixture
def path(stored):
    return f"Patient/{stored['id']}"


def test_patch_writes_the_next_version(client, path):
    response = client.patch(path, MALE)
    assert response.status_code == 200 and response.headers["ETag"] == 'W/"2"'
    assert response.resource["gender"] == "male" and response.resource["name"] == [{"given": ["A"]}]
    assert client.get(path).resource == response.resource


@pytest.mark.parametrize("tag, status", [('W/"1"', 200), ('W/"2"', 412)])
def test_patch_holds_to_if_match(client, path, tag, status):
    """C3.12: PATCH json-patch with If-Match"""
    assert client.patch(path, MALE, If_Match=tag).status_code == status


def test_patch_needs_if_match_when_the_setting_asks(database):
    """C3.2: required but missing 400"""
    client = make_client(database, REQUIRE_IF_MATCH=True)
    path = f"Patient/{client.create(patient())['id']}"
    assert_refused(client.patch(path, MALE), 400, "If-Match")
    assert client.patch(path, MALE, If_Match='W/"1"').status_code == 200


@pytest.mark.parametrize("operations, status", [
    ({"op": "add"}, 400), (["x"], 400), ("{", 400), ("", 400),
    ([{"op": "test", "path": "/gender", "value": "male"}], 422),
    ([{"op": "remove", "path": "/nothing"}], 422),
    ([{"op": "replace", "path": "/id", "value": "other"}], 422),
    ([{"op": "add", "path": "/gender", "value": "x"}], 422),
    ([{"op": "remove", "path": "/name/0/given/0"}], 422),
])
def test_patch_refuses_what_makes_no_valid_resource(client, path, operations, status):
    assert_refused(client.patch(path, operations), status)
    assert client.get(path).headers["ETag"] == 'W/"1"'


def test_patch_of_unknown_is_404_and_of_deleted_410(client, path):
    assert_refused(client.patch("Patient/nobody", MALE), 404)
    client.delete(path)
    assert_refused(client.patch(path, MALE), 410)


@pytest.mark.parametrize("kind", ["application/fhir+json", "application/json", "application/merge-patch+json", "text/plain"])
def test_patch_takes_json_patch_only(client, path, kind):
    response = client.patch(path, MALE, **{"Content-Type": kind})
    assert_refused(response, 415, "application/json-patch+json")
    assert response.headers["Accept-Patch"] == "application/json-patch+json"


def test_conditional_patch_writes_the_one_that_matches(client, path):
    """C3.12: … and conditional"""
    response = client.patch("Patient?identifier=urn:mrn|1", MALE)
    assert response.status_code == 200 and response.resource["gender"] == "male"
    assert client.get(path).headers["ETag"] == 'W/"2"'


def test_conditional_patch_refuses_none_and_several(client, stored):
    assert_refused(client.patch("Patient?identifier=urn:mrn|2", MALE), 404)
    client.create(identified("1"))
    assert_refused(client.patch("Patient?identifier=urn:mrn|1", MALE), 412, "several")
    assert_refused(client.patch("Patient", MALE), 412)


def test_parallel_patches_are_all_applied(client, path):
    """C3.6: none is lost, though each is applied outside the transaction"""
    def patch(number):
        return client.patch(path, [{"op": "add", "path": "/name/0/given/-", "value": f"n{number}"}]).status_code

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(patch, range(8))) == {200}
    assert sorted(client.get(path).resource["name"][0]["given"]) == ["A", *(f"n{number}" for number in range(8))]
