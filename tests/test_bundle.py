"""batch and transaction. Spec: https://hl7.org/fhir/R4/http.html#transaction, reliability C3.7, C3.8"""
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import pytest
from fhir_client import BASE, assert_refused, client, identified, make_client, observation, patient  # noqa: F401

from fhirsub.fhir import json
from fhirsub.fhir.validation import check

URN = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
OTHER_URN = "urn:uuid:79378cb8-8f58-48e8-a5e8-60ac2755b674"


def entry(method, url, resource=None, full_url=None, **request):
    made = {"request": {"method": method, "url": url, **request}}
    return made | ({"resource": resource} if resource is not None else {}) | ({"fullUrl": full_url} if full_url else {})


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind} | ({"entry": list(entries)} if entries else {})


def transaction(*entries):
    return bundle("transaction", *entries)


def statuses(response):
    return [one["response"]["status"][:3] for one in response.resource["entry"]]


def written(client):
    return client.get("_history?_count=0").resource["total"]


def json_patch(*operations):
    data = b64encode(json.encode(list(operations))).decode()
    return {"resourceType": "Binary", "contentType": "application/json-patch+json", "data": data}


def test_transaction_runs_in_its_order_and_answers_in_the_bundles(client):
    """C3.7: DELETE, POST, PUT/PATCH, GET order; response same order"""
    client.put("Patient/old", identified("1", id="old"))
    client.put("Patient/patched", patient(id="patched"))
    response = client.post("", transaction(
        entry("GET", "Patient?identifier=urn:mrn|1"),
        entry("PATCH", "Patient/patched", json_patch({"op": "add", "path": "/gender", "value": "male"})),
        entry("PUT", "Patient/put", patient(id="put")),
        entry("POST", "Patient", identified("1", gender="female"), ifNoneExist="identifier=urn:mrn|1"),
        entry("DELETE", "Patient/old"),
        entry("GET", "Patient/put")))
    assert response.status_code == 200, response.text
    check(response.resource, "Bundle")
    assert response.resource["type"] == "transaction-response"
    assert statuses(response) == ["200", "200", "201", "201", "204", "200"]
    found, patched, put, post, delete, read = response.resource["entry"]
    assert [one["resource"]["gender"] for one in found["resource"]["entry"]] == ["female"]
    assert patched["resource"]["gender"] == "male" and patched["response"]["etag"] == 'W/"2"'
    assert post["response"]["location"] == f"{BASE}/Patient/{post['resource']['id']}/_history/1"
    assert post["fullUrl"] == f"{BASE}/Patient/{post['resource']['id']}" and post["response"]["lastModified"]
    assert "resource" not in delete
    assert read["resource"] == put["resource"]


def test_transaction_rewrites_references_between_its_entries(client):
    """C3.7: urn:uuid … references rewritten"""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><a href="{URN}">P</a></div>'
    response = client.post("", transaction(
        entry("POST", "Observation", observation(subject={"reference": URN}, text={"status": "generated", "div": div},
                                                 performer=[{"reference": OTHER_URN}]), OTHER_URN + "0"),
        entry("POST", "Patient", patient(), URN),
        entry("PUT", "Practitioner/doc", {"resourceType": "Practitioner", "id": "doc"}, OTHER_URN)))
    stored, who, _ = (one["resource"] for one in response.resource["entry"])
    assert stored["subject"] == {"reference": f"Patient/{who['id']}"}
    assert stored["performer"] == [{"reference": "Practitioner/doc"}]
    assert f'href="Patient/{who["id"]}"' in stored["text"]["div"]
    assert client.count(f"Observation?subject=Patient/{who['id']}") == 1


def test_transaction_rewrites_references_to_what_a_conditional_create_finds(client):
    """C3.7"""
    there = client.create(identified("1"))
    response = client.post("", transaction(
        entry("POST", "Patient", identified("1"), URN, ifNoneExist="identifier=urn:mrn|1"),
        entry("POST", "Observation", observation(subject={"reference": URN}))))
    assert statuses(response) == ["200", "201"]
    assert response.resource["entry"][1]["resource"]["subject"] == {"reference": f"Patient/{there['id']}"}


@pytest.mark.parametrize("stored_before", [True, False])
def test_transaction_resolves_conditional_references(client, stored_before):
    """C3.7: … conditional references rewritten; also to a resource that the same transaction writes"""
    entries = [entry("POST", "Observation", observation(subject={"reference": "Patient?identifier=urn:mrn|1"}))]
    if stored_before:
        client.create(identified("1"))
    else:
        entries.append(entry("PUT", "Patient/new", identified("1", id="new")))
    response = client.post("", transaction(*entries))
    assert response.status_code == 200, response.text
    who = client.get("Patient?identifier=urn:mrn|1").resource["entry"][0]["resource"]["id"]
    assert response.resource["entry"][0]["resource"]["subject"] == {"reference": f"Patient/{who}"}


@pytest.mark.parametrize("matches", [0, 2])
def test_transaction_refuses_conditional_reference_without_one_match(client, matches):
    for _ in range(matches):
        client.create(identified("1"))
    reference = {"reference": "Patient?identifier=urn:mrn|1"}
    response = client.post("", transaction(entry("POST", "Patient", patient()),
                                           entry("POST", "Observation", observation(subject=reference))))
    assert_refused(response, 412, "Bundle.entry[1]", "Patient?identifier=urn:mrn|1")
    assert written(client) == matches


def test_transaction_resolves_conditional_reference_past_what_it_deletes(client):
    client.put("Patient/old", identified("1", id="old"))
    client.put("Patient/new", identified("1", id="new"))
    response = client.post("", transaction(
        entry("POST", "Observation", observation(subject={"reference": "Patient?identifier=urn:mrn|1"})),
        entry("DELETE", "Patient/old")))
    assert response.resource["entry"][0]["resource"]["subject"] == {"reference": "Patient/new"}


@pytest.mark.parametrize("failing, status, expression", [
    (entry("POST", "Patient", patient(gender="x")), 422, "Bundle.entry[1].resource.gender"),
    (entry("PUT", "Patient/a", patient(id="b")), 400, "Bundle.entry[1].resource.id"),
    (entry("PUT", "Patient/there", patient(id="there"), ifMatch='W/"9"'), 412, "Bundle.entry[1]"),
    (entry("GET", "Patient/nobody"), 404, "Bundle.entry[1]"),
    (entry("GET", "Patient?gender:bad=x"), 400, "Bundle.entry[1]"),
    (entry("PATCH", "Patient/there", json_patch({"op": "remove", "path": "/gender"})), 422, "Bundle.entry[1]"),
    (entry("PATCH", "Patient/there", patient()), 415, "Bundle.entry[1].resource.contentType"),
    (entry("PATCH", "Patient/there", json_patch() | {"data": "=x"}), 400, "Bundle.entry[1].resource.data"),
    (entry("POST", "Nonsense", patient()), 404, "Bundle.entry[1]"),
    (entry("POST", "Patient"), 400, "Bundle.entry[1]"),
    (entry("PUT", "Patient", patient()), 412, "Bundle.entry[1]"),
    (entry("DELETE", "Patient?identifier=twice"), 412, "Bundle.entry[1]"),
    (entry("POST", "http://elsewhere.org/Patient", patient()), 404, "Bundle.entry[1]"),
    (entry("POST", "/", bundle("batch")), 400, "Bundle.entry[1]"),
])
def test_transaction_with_a_failing_entry_writes_nothing(client, failing, status, expression):
    """C3.7: all or nothing; failure = one OperationOutcome"""
    client.put("Patient/there", patient(id="there"))
    client.create(identified("twice"))
    client.create(identified("twice"))
    response = client.post("", transaction(entry("POST", "Patient", patient()), failing))
    assert_refused(response, status, "Bundle.entry[1]")
    assert response.resource["issue"][0]["expression"] == [expression]
    assert written(client) == 3


@pytest.mark.parametrize("entries", [
    [entry("PUT", "Patient/a", patient(id="a")), entry("PUT", "Patient/a", patient(id="a"))],
    [entry("PUT", "Patient/there", patient(id="there")), entry("DELETE", "Patient/there")],
    [entry("PUT", "Patient/there", identified("1", id="there")), entry("DELETE", "Patient?identifier=urn:mrn|1")],
    [entry("PUT", "Patient?identifier=urn:mrn|1", identified("1")), entry("PUT", "Patient/there", patient(id="there"))],
    [entry("PUT", "Patient?identifier=urn:mrn|2", identified("2")), entry("POST", "Patient", identified("2"))],
    [entry("PUT", "Patient?identifier=urn:mrn|2", identified("2"))] * 2,
    [entry("PATCH", "Patient/there", json_patch({"op": "add", "path": "/gender", "value": "male"})),
     entry("PUT", "Patient/there", patient(id="there"))],
])
def test_transaction_refuses_entries_about_one_resource(client, entries):
    """C3.7: overlap of identities fails"""
    client.put("Patient/there", identified("1", id="there"))
    assert_refused(client.post("", transaction(*entries)), 400, "Bundle.entry[", "once", code="duplicate")
    assert written(client) == 1


def test_transaction_refuses_one_full_url_twice(client):
    entries = [entry("POST", "Patient", patient(), URN), entry("POST", "Patient", patient(), URN)]
    assert_refused(client.post("", transaction(*entries)), 400, "Bundle.entry[1].fullUrl")


def test_transaction_creates_once_for_one_condition(client):
    """Two entries with one If-None-Exist: the second finds what the first has created."""
    create = entry("POST", "Patient", identified("1"), ifNoneExist="identifier=urn:mrn|1")
    response = client.post("", transaction(create, create))
    assert statuses(response) == ["201", "200"]
    first, second = (one["resource"]["id"] for one in response.resource["entry"])
    assert first == second and client.count("Patient") == 1


def test_transaction_with_conditional_update_and_delete(client):
    client.create(identified("1"))
    client.create(identified("2"))
    response = client.post("", transaction(
        entry("PUT", "Patient?identifier=urn:mrn|1", identified("1", gender="male")),
        entry("DELETE", "Patient?identifier=urn:mrn|2"),
        entry("PUT", "Patient?identifier=urn:mrn|3", identified("3"))))
    assert statuses(response) == ["200", "204", "201"]
    assert client.count("Patient") == 2 and client.count("Patient?gender=male") == 1


def test_transaction_holds_references_to_its_own_entries_as_existing(database):
    client = make_client(database, REFERENCES_MUST_EXIST=True)
    response = client.post("", transaction(entry("POST", "Observation", observation(subject={"reference": URN})),
                                           entry("POST", "Patient", patient(), URN)))
    assert response.status_code == 200, response.text


def test_parallel_transactions_about_the_same_resources_all_go_through(client):
    """Locks are taken in one order, whatever the order in the Bundle."""
    def put(number):
        names = ["a", "b", "c", "d"][::1 if number % 2 else -1]
        return client.post("", transaction(*(entry("PUT", f"Patient/{name}", patient(id=name)) for name in names))).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(16))) == {200}
    assert client.get("Patient/a").headers["ETag"] == 'W/"16"'


def test_parallel_transactions_with_one_condition_create_once(client):
    """C3.6"""
    body = transaction(entry("POST", "Patient", identified("1"), ifNoneExist="identifier=urn:mrn|1"),
                       entry("POST", "Patient", identified("2"), ifNoneExist="identifier=urn:mrn|2"))
    with ThreadPoolExecutor(10) as pool:
        assert {client.post("", one).status_code for one in [body] * 2} == {200}
        assert set(pool.map(lambda _: client.post("", body).status_code, range(10))) == {200}
    assert client.count("Patient") == 2


def test_batch_entries_are_independent(client):
    """C3.8: independent entries with own status"""
    stored = client.create(identified("1"))
    response = client.post("", bundle(
        "batch",
        entry("POST", "Patient", patient(gender="x")),
        entry("POST", "Patient", patient()),
        entry("GET", "Patient/nobody"),
        entry("GET", f"Patient/{stored['id']}", ifNoneMatch='W/"1"'),
        entry("GET", f"Patient/{stored['id']}", ifModifiedSince=stored["meta"]["lastUpdated"]),
        entry("GET", f"{BASE}/Patient?identifier=1"),
        entry("DELETE", f"/Patient/{stored['id']}"),
        entry("GET", "metadata"),
        entry("GET", "Patient/_history"),
        entry("HEAD", f"Patient/{stored['id']}"),
        entry("POST", "/", bundle("batch")),
        entry("PUT", "nowhere/x/y", patient()),
        entry("POST", "http://elsewhere.org/Patient", patient()),
        entry("PATCH", f"Patient/{stored['id']}", patient())))
    assert response.status_code == 200
    check(response.resource, "Bundle")
    assert response.resource["type"] == "batch-response"
    assert statuses(response) == ["422", "201", "404", "304", "304", "200", "204", "200", "200", "410", "400", "404", "404", "410"]
    outcome = response.resource["entry"][0]["response"]["outcome"]
    assert outcome["issue"][0]["expression"] == ["Bundle.entry[0].resource.gender"]
    assert response.resource["entry"][5]["resource"]["total"] == 1


def test_batch_entry_that_fails_unforeseen_stops_no_other(client, monkeypatch):
    made = iter(["first"])
    monkeypatch.setattr(client.server, "new_id", lambda: next(made))
    response = client.post("", bundle("batch", *[entry("POST", "Patient", patient())] * 2))
    assert statuses(response) == ["201", "500"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_bundle_honours_prefer_for_each_entry(client, kind):
    """C3.10"""
    body = bundle(kind, entry("POST", "Patient", patient()))
    minimal = client.post("", body, Prefer="return=minimal").resource["entry"][0]
    assert "resource" not in minimal and minimal["response"]["location"]
    said = client.post("", body, Prefer="return=OperationOutcome").resource["entry"][0]
    assert "resource" not in said and said["response"]["outcome"]["resourceType"] == "OperationOutcome"
    assert client.post("", body).resource["entry"][0]["resource"]["resourceType"] == "Patient"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_bundle_may_be_empty(client, kind):
    response = client.post("", bundle(kind))
    assert response.status_code == 200 and response.resource == {"resourceType": "Bundle", "type": f"{kind}-response"}


@pytest.mark.parametrize("body, status, words", [
    (bundle("collection"), 400, ["Bundle.type", "collection"]),
    (bundle("nonsense"), 422, ["Bundle.type"]),
    ({"resourceType": "Bundle"}, 422, ["Bundle.type"]),
    (patient(), 400, ["Bundle"]),
    ([], 400, []),
    ("", 400, ["body"]),
    (bundle("batch", {"resource": patient()}), 400, ["Bundle.entry[0].request"]),
    (bundle("batch", entry("FROB", "Patient")), 422, ["Bundle.entry[0].request.method"]),
    (bundle("transaction", {"request": {"method": "GET"}}), 422, ["Bundle.entry[0].request.url"]),
    (bundle("transaction") | {"entry": {}}, 422, ["Bundle.entry"]),
])
def test_bundle_that_is_none_is_refused(client, body, status, words):
    assert_refused(client.post("", body), status, *words)


def test_bundle_over_the_limit_is_413(database):
    client = make_client(database, MAX_BUNDLE_ENTRIES=2)
    body = bundle("batch", *[entry("POST", "Patient", patient())] * 3)
    assert_refused(client.post("", body), 413, "2")
    assert written(client) == 0


def test_bundle_of_another_type_is_stored_as_a_resource(client):
    assert client.create(bundle("collection"))["type"] == "collection"
