"""update and conditional update. Spec: https://hl7.org/fhir/R4/http.html#update, reliability C3.2, C3.4-C3.6"""
from concurrent.futures import ThreadPoolExecutor

import pytest
from fhir_client import BASE, assert_refused, client, identified, make_client, patient  # noqa: F401


def test_update_writes_the_next_version(client):
    stored = client.create(patient(gender="male"))
    path = f"Patient/{stored['id']}"
    response = client.put(path, stored | {"gender": "female"})
    assert response.status_code == 200 and response.headers["ETag"] == 'W/"2"'
    assert response.resource["gender"] == "female" and response.resource["meta"]["versionId"] == "2"
    assert "Location" not in response.headers
    assert client.get(path).resource == response.resource


def test_update_creates_under_the_clients_id(client):
    """C3.2: new id = 201"""
    response = client.put("Patient/mine", patient(id="mine"))
    assert response.status_code == 201
    assert response.headers["Location"] == f"{BASE}/Patient/mine/_history/1"


def test_update_creates_nothing_when_the_setting_forbids(database):
    """C3.2: new id = … 405 by setting"""
    client = make_client(database, UPDATE_CREATES=False)
    response = client.put("Patient/mine", patient(id="mine"))
    assert_refused(response, 405, "Patient/mine")
    assert response.headers["Allow"]
    assert client.get("Patient/mine").status_code == 404


@pytest.mark.parametrize("resource", [patient(), patient(id="other"), patient(id="MINE"), patient(id=3)])
def test_update_refuses_an_id_that_is_not_the_urls(client, resource):
    """C3.2: body id must equal URL (400)"""
    assert_refused(client.put("Patient/mine", resource), 400, "Patient.id", "mine")


@pytest.mark.parametrize("id", ["a_b", "x" * 65])
def test_update_refuses_what_is_no_id(client, id):
    assert_refused(client.put(f"Patient/{id}", patient(id=id)), 400, "id")


@pytest.mark.parametrize("tag, status", [
    ('W/"1"', 200), ('"1"', 200), ("1", 200), ("*", 200), ('W/"3", W/"1"', 200), ('W/"2"', 412), ('W/"11"', 412), ("", 412)])
def test_update_holds_to_if_match(client, tag, status):
    """C3.2: If-Match mismatch 412"""
    stored = client.create(patient())
    response = client.put(f"Patient/{stored['id']}", stored | {"gender": "male"}, If_Match=tag)
    assert response.status_code == status
    assert client.get(f"Patient/{stored['id']}").headers["ETag"] == ('W/"2"' if status == 200 else 'W/"1"')


def test_update_with_if_match_finds_nothing_to_match(client):
    assert_refused(client.put("Patient/mine", patient(id="mine"), If_Match='W/"1"'), 412, "no current version")


def test_update_with_if_none_match_only_creates(client):
    assert client.put("Patient/mine", patient(id="mine"), If_None_Match="*").status_code == 201
    assert_refused(client.put("Patient/mine", patient(id="mine"), If_None_Match="*"), 412)


def test_update_needs_if_match_when_the_setting_asks(database):
    """C3.2: required but missing 400"""
    client = make_client(database, REQUIRE_IF_MATCH=True)
    assert client.put("Patient/mine", patient(id="mine")).status_code == 201
    assert_refused(client.put("Patient/mine", patient(id="mine")), 400, "If-Match", 'W/"1"')
    assert client.put("Patient/mine", patient(id="mine"), If_Match='W/"1"').status_code == 200


def test_update_revives_what_was_deleted(client):
    """C3.4: then create by PUT revives with version n+1"""
    stored = client.create(patient())
    path = f"Patient/{stored['id']}"
    client.delete(path)
    response = client.put(path, patient(id=stored["id"]))
    assert response.status_code == 201 and response.headers["ETag"] == 'W/"3"'
    assert client.get(path).status_code == 200


def test_conditional_update_creates_when_nothing_matches(client):
    """C3.5: Conditional update: 0 = create"""
    response = client.put("Patient?identifier=urn:mrn|1", identified("1"))
    assert response.status_code == 201 and response.resource["id"]
    response = client.put("Patient?identifier=urn:mrn|2", identified("2", id="two"))
    assert response.status_code == 201 and response.resource["id"] == "two"


def test_conditional_update_writes_the_one_that_matches(client):
    """C3.5: 1 = update"""
    stored = client.create(identified("1"))
    for resource in (identified("1", gender="male"), identified("1", gender="female", id=stored["id"])):
        response = client.put("Patient?identifier=urn:mrn|1", resource)
        assert response.status_code == 200 and response.resource["id"] == stored["id"]
    assert client.get(f"Patient/{stored['id']}").headers["ETag"] == 'W/"3"'


def test_conditional_update_refuses_another_id(client):
    """C3.5: body id differs = 400"""
    client.create(identified("1"))
    assert_refused(client.put("Patient?identifier=urn:mrn|1", identified("1", id="other")), 400, "Patient.id")


def test_conditional_update_refuses_several_matches(client):
    """C3.5: >1 = 412"""
    client.create(identified("1"))
    client.create(identified("1"))
    assert_refused(client.put("Patient?identifier=urn:mrn|1", identified("1")), 412, "several")


def test_conditional_update_never_takes_over_an_id_that_exists(client):
    client.put("Patient/mine", identified("2", id="mine"))
    assert_refused(client.put("Patient?identifier=urn:mrn|1", identified("1", id="mine")), 409, "mine")


@pytest.mark.parametrize("query, status", [("", 412), ("?nonsense=1", 400), ("?_format=json", 412)])
def test_conditional_update_refuses_condition_that_says_nothing(client, query, status):
    assert_refused(client.put(f"Patient{query}", identified("1")), status)


def test_conditional_update_holds_to_if_match(client):
    client.create(identified("1"))
    path = "Patient?identifier=urn:mrn|1"
    assert_refused(client.put(path, identified("1"), If_Match='W/"7"'), 412)
    assert client.put(path, identified("1"), If_Match='W/"1"').status_code == 200


def test_parallel_updates_with_one_if_match_let_one_through(client):
    """C3.6: Conditional operations and If-Match are atomic under concurrency"""
    stored = client.create(patient())

    def update(number):
        return client.put(f"Patient/{stored['id']}", patient(id=stored["id"]), If_Match='W/"1"').status_code

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(update, range(10))) == [200] + [412] * 9


def test_parallel_creates_of_one_id_agree_who_was_first(client):
    """C3.6"""
    with ThreadPoolExecutor(10) as pool:
        statuses = list(pool.map(lambda _: client.put("Patient/mine", patient(id="mine")).status_code, range(10)))
    assert sorted(statuses) == [200] * 9 + [201]
    assert client.get("Patient/mine").headers["ETag"] == 'W/"10"'


def test_parallel_conditional_updates_make_one_resource(client):
    """C3.6"""
    def update(number):
        return client.put("Patient?identifier=urn:mrn|1", identified("1")).status_code

    with ThreadPoolExecutor(10) as pool:
        assert sorted(pool.map(update, range(10))) == [200] * 9 + [201]
    assert client.count("Patient") == 1
