"""Formats, preferences, methods and errors. Spec: https://hl7.org/fhir/R4/http.html, reliability C3.10"""
import logging
from io import BytesIO

import pytest
from fhir_client import assert_refused, client, make_client, observation, patient  # noqa: F401

from fhirsub.errors import StorageError
from fhirsub.fhir import json

JSON_TYPE = "application/fhir+json; charset=utf-8"


@pytest.mark.parametrize("prefer, body", [
    ("return=minimal", None), ("return=representation", "Patient"), ("return=OperationOutcome", "OperationOutcome"),
    ("", "Patient"), ("respond-async, return=minimal", None), ('return="minimal"; handling=strict', None)])
def test_prefer_return_chooses_the_body_of_a_write(client, prefer, body):
    """C3.10: Prefer return=minimal|representation|OperationOutcome"""
    created = client.post("Patient", patient(), Prefer=prefer)
    path = created.headers["Location"].split("/fhir/")[1].partition("/_history")[0]
    updated = client.put(path, patient(id=path.partition("/")[2]), Prefer=prefer)
    patched = client.patch(path, [{"op": "add", "path": "/gender", "value": "male"}], Prefer=prefer)
    assert [one.status_code for one in (created, updated, patched)] == [201, 200, 200]
    for response in (created, updated, patched):
        assert (response.resource or {}).get("resourceType") == body
        assert response.headers["ETag"] and response.headers["Last-Modified"]


@pytest.mark.parametrize("accept", [
    "application/fhir+json", "application/json", "text/json", "*/*", "application/*", "", "application/fhir+json; charset=utf-8",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "application/fhir+xml, application/fhir+json;q=0.1",
    "application/fhir+json; fhirVersion=4.0", "APPLICATION/FHIR+JSON"])
def test_accept_of_json_is_answered(client, accept):
    """C3.10: application/fhir+json; charset=utf-8"""
    response = client.get("Patient", Accept=accept)
    assert response.status_code == 200 and response.content_type == JSON_TYPE


@pytest.mark.parametrize("accept", ["application/fhir+xml", "text/html", "application/fhir+json;q=0", "text/turtle",
                                    "application/fhir+json; fhirVersion=3.0"])
def test_accept_of_anything_else_is_406(client, accept):
    """C3.10: 406"""
    assert_refused(client.get("Patient", Accept=accept), 406, "application/fhir+json")


@pytest.mark.parametrize("value, status", [
    ("json", 200), ("application/json", 200), ("application/fhir+json", 200), ("application/fhir%2Bjson", 200),
    ("text/json", 200), ("xml", 406), ("application/fhir%2Bxml", 406), ("ttl", 406), ("html", 406), ("", 406)])
def test_format_overrides_accept(client, value, status):
    """C3.10: _format overrides Accept"""
    for accept in ("application/fhir+xml", "application/fhir+json"):
        assert client.get(f"Patient?_format={value}", Accept=accept).status_code == status


def test_write_that_would_be_answered_with_406_is_not_done(client):
    assert_refused(client.post("Patient", patient(), Accept="application/fhir+xml"), 406)
    assert client.count("Patient") == 0


@pytest.mark.parametrize("kind, status", [
    ("application/fhir+json", 201), ("application/json", 201), ("text/json", 201), ("application/fhir+json; charset=UTF-8", 201),
    ("application/fhir+json; fhirVersion=4.0", 201), ("", 201), ("application/fhir+xml", 415), ("text/plain", 415),
    ("application/x-www-form-urlencoded", 415), ("application/fhir+json; charset=latin-1", 415),
    ("application/fhir+json; fhirVersion=3.0", 415)])
def test_content_type_must_be_fhir_json(client, kind, status):
    """C3.10: 415"""
    response = client.post("Patient", patient(), **{"Content-Type": kind})
    assert response.status_code == status
    if status == 415:
        assert_refused(response, 415, "application/fhir+json")


def test_compressed_body_is_415(client):
    assert_refused(client.post("Patient", patient(), Content_Encoding="gzip"), 415, "Content-Encoding")


def test_pretty_is_indented_and_keeps_digits(client):
    stored = client.post("Observation", '{"resourceType":"Observation","status":"final","code":{"text":"é"},'
                                        '"valueQuantity":{"value":1.00}}').resource
    text = client.get(f"Observation/{stored['id']}?_pretty=true").text
    assert '\n  "valueQuantity": {\n    "value": 1.00\n' in text and "é" in text
    assert "\n" not in client.get(f"Observation/{stored['id']}?_pretty=false").text


@pytest.mark.parametrize("method, path, status", [
    ("GET", "Nonsense", 404), ("POST", "Nonsense", 404), ("GET", "Nonsense/1", 404), ("GET", "patient", 404),
    ("GET", "Patient/1/2", 404), ("GET", "Patient/1/_history/1/2", 404), ("GET", "$export", 404),
    ("GET", "Patient/$everything", 404), ("GET", "Patient/1/$everything", 404),
    ("GET", "Patient/1/Practitioner", 404), ("GET", "Organization/1/Patient", 404),
    ("GET", ".well-known/smart-configuration", 404), ("GET", "T", 404), ("GET", "T/id", 404),
    ("GET", "T/_search", 404), ("GET", "Resource", 404), ("GET", "DomainResource/1", 404), ("POST", "a/b/c", 404), ("FROB", "Nonsense", 404),
    ("GET", "Patient//1", 404), ("GET", "/Patient", 404)])
def test_unknown_path_is_404_with_an_outcome(client, method, path, status):
    """C3.10: OperationOutcome on every 4xx/5xx incl. 404 of unknown types"""
    assert_refused(client.request(method, path), status)


@pytest.mark.parametrize("method, path, allow", [
    ("PUT", "", "GET, POST, HEAD, OPTIONS"), ("POST", "Patient/1/Observation", "GET, HEAD, OPTIONS"),
    ("POST", "metadata", "GET, HEAD, OPTIONS"),
    ("POST", "Patient/1", "GET, PUT, PATCH, DELETE, HEAD, OPTIONS"), ("GET", "Patient/_search", "POST, OPTIONS"),
    ("DELETE", "Patient/1/_history", "GET, HEAD, OPTIONS"), ("PUT", "Patient/1/_history/1", "GET, HEAD, OPTIONS"),
    ("FROB", "Patient", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"), ("TRACE", "_history", "GET, HEAD, OPTIONS")])
def test_wrong_method_is_405_with_allow(client, method, path, allow):
    response = client.request(method, path)
    assert_refused(response, 405, method)
    assert response.headers["Allow"] == allow


@pytest.mark.parametrize("path, allow", [
    ("Patient", "GET, POST, PUT, PATCH, DELETE, HEAD, OPTIONS"), ("", "GET, POST, HEAD, OPTIONS")])
def test_options_lists_the_methods(client, path, allow):
    response = client.request("OPTIONS", path)
    assert response.status_code == 204 and response.headers["Allow"] == allow
    assert_refused(client.request("OPTIONS", "Nonsense"), 404)


@pytest.mark.parametrize("body", ['{"resourceType": "Patient", "active": true, "active": false}',
                                  '{"resourceType": "Observation", "resourceType": "Patient"}'])
def test_member_that_is_there_twice_is_400(client, body):
    assert_refused(client.post("Patient", body), 400, "twice")
    assert client.count("Patient") == 0


@pytest.mark.parametrize("query", ["name=%ff", "name=%C3", "%ff=x"])
def test_parameters_that_are_not_utf_8_are_400(client, query):
    assert_refused(client.get(f"Patient?{query}"), 400, "UTF-8")
    form = client.request("POST", "Patient/_search", query.encode(), content_type="application/x-www-form-urlencoded")
    assert_refused(form, 400, "UTF-8")


@pytest.mark.parametrize("chunked", [False, True])
def test_body_over_the_limit_is_413(database, chunked):
    client = make_client(database, MAX_BODY_BYTES=200)

    def post(resource):
        body = json.encode(resource)
        overrides = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "", "wsgi.input": BytesIO(body)} if chunked else {}
        return client.request("POST", "Patient", body, environ_overrides=overrides)

    assert post(patient()).status_code == 201
    # The longest that is taken, and one byte more.
    filled = len(json.encode(patient(name=[{"text": ""}])))
    assert post(patient(name=[{"text": "x" * (200 - filled)}])).status_code == 201
    assert_refused(post(patient(name=[{"text": "x" * (201 - filled)}])), 413, "200 bytes")


def test_failure_nobody_foresaw_is_500_and_tells_nothing(client, monkeypatch, caplog):
    """C3.10: … and 500"""
    def fail():
        raise RuntimeError("secret inside")

    monkeypatch.setattr(client.server, "new_id", fail)
    with caplog.at_level(logging.ERROR):
        response = client.post("Patient", patient())
    assert_refused(response, 500)
    assert "secret" not in response.text and "RuntimeError" not in response.text
    assert "secret inside" in caplog.text


def test_database_that_is_away_is_503_with_retry_after(client, monkeypatch):
    def away():
        raise StorageError("password=hunter2")

    monkeypatch.setattr(client.server.database, "write", away)
    monkeypatch.setattr(client.server.database, "read", away)
    for response in (client.post("Patient", patient()), client.get("Patient/1"), client.get("Patient")):
        assert_refused(response, 503, code="transient")
        assert int(response.headers["Retry-After"]) > 0 and "hunter2" not in response.text


@pytest.mark.parametrize("given, echoed", [("abc-1.2:3", True), ("a b", False), ("x" * 201, False), ("<script>", False)])
def test_request_id_is_echoed_if_it_is_harmless(client, given, echoed):
    for path in ("Patient", "Nonsense"):
        assert (client.get(path, X_Request_Id=given).headers.get("X-Request-Id") == given) == echoed


def test_host_application_keeps_its_own_errors(client):
    """Only what is below the base is answered by us."""
    with client.app.test_client() as http:
        response = http.get("/other")
    assert response.status_code == 404 and response.content_type.startswith("text/html")


def test_types_that_are_not_served_are_404(database):
    client = make_client(database, RESOURCE_TYPES="Patient Observation")
    assert client.create(patient())
    assert_refused(client.post("Encounter", {"resourceType": "Encounter"}), 404, "Encounter")


def test_setting_with_a_type_that_r4_lacks_is_refused(database):
    with pytest.raises(ValueError, match="Nonsense"):
        make_client(database, RESOURCE_TYPES="Patient Nonsense")


@pytest.mark.parametrize("settings, url", [
    ({"BASE_PATH": "/r4/base"}, "/r4/base"), ({"BASE_PATH": "/"}, ""), ({"BASE_PATH": ""}, ""),
    ({"BASE_PATH": "/fhir/"}, "/fhir")])
def test_base_path_is_where_the_api_is(database, settings, url):
    client = make_client(database, **settings)
    with client.app.test_client() as http:
        response = http.post(f"{url}/Patient", json=patient())
        assert response.headers["Location"].startswith(f"http://localhost{url}/Patient/")
        assert http.get(f"{url}/metadata").status_code == 200
        assert http.get(f"{url}/nothing/here").content_type == JSON_TYPE


def test_base_url_is_what_clients_see(database):
    client = make_client(database, BASE_URL="https://example.org/r4/")
    assert client.post("Patient", patient()).headers["Location"].startswith("https://example.org/r4/Patient/")


def test_references_must_exist_when_the_setting_asks(database):
    client = make_client(database, REFERENCES_MUST_EXIST=True)
    stored = client.create(patient())
    assert_refused(client.post("Observation", observation(subject={"reference": "Patient/nobody"})), 422, "Patient/nobody")
    for reference in (f"Patient/{stored['id']}", f"http://localhost/fhir/Patient/{stored['id']}", "http://other.org/Patient/1"):
        assert client.create(observation(subject={"reference": reference}))


def test_references_elsewhere_are_accepted_by_default(client):
    assert client.create(observation(subject={"reference": "Patient/nobody"}))
