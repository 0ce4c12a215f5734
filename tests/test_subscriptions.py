"""Subscriptions as a client sees them, end to end: REST in, a real endpoint out, on SQLite and PostgreSQL.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
import json
import time
from datetime import datetime, timedelta, timezone

import pytest
from live import FHIR, observation, subscription
from receiver import Receiver, status

import fhirsub

CRITERIA = "Observation?code=http://loinc.org|718-7"
JSON_PATCH = "application/json-patch+json"


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def http(live_url, tmp_path):
    app = fhirsub.create_app(DATABASE=live_url, HOST="127.0.0.1", SECRET_KEY_FILE=str(tmp_path / "fhirsub.key"))
    yield Http(app)
    app.extensions["fhirsub"].stop()


class Http:
    """Requests below the base; each returns the Flask response."""

    def __init__(self, app):
        self.client = app.test_client()

    def __call__(self, method, path, body=None, content_type=FHIR, **headers):
        data = None if body is None else json.dumps(body)
        return self.client.open(f"/fhir/{path}", method=method, data=data, content_type=content_type, headers=headers)

    def create(self, resource):
        answer = self("POST", resource["resourceType"], resource)
        assert answer.status_code == 201, answer.text
        return answer.json

    def read(self, made):
        return self("GET", f"{made['resourceType']}/{made['id']}").json

    def put(self, resource):
        return self("PUT", f"{resource['resourceType']}/{resource['id']}", resource)


@pytest.fixture
def path(request):
    """A path of the endpoint that no other test uses."""
    return f"/{abs(hash(request.node.nodeid))}"


@pytest.fixture
def hook(http, receiver, path):
    """An active rest-hook Subscription with payload."""
    return http.create(subscription(CRITERIA, type="rest-hook", endpoint=receiver.url(path), payload=FHIR))


def heard(receiver, path, count=1):
    return [json.loads(arrival.body) for arrival in receiver.wait(count, path)]


def settled(condition, seconds=5):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that in time"
        time.sleep(0.01)


# C1.3: life cycle; a missing status and reason are accepted

@pytest.mark.parametrize("sent, status", [("requested", "active"), ("active", "active"), ("off", "off"), (None, "active")])
def test_status_sent_and_status_stored(http, receiver, sent, status):
    asked = subscription(CRITERIA, type="rest-hook", endpoint=receiver.url("/none")) | {"status": sent}
    if sent is None:
        del asked["status"], asked["reason"]
    made = http.create(asked)
    assert made["status"] == status and ("reason" in made) == (sent is not None)
    assert http.read(made) == made


def test_end_in_the_past_is_off_at_once(http, receiver):
    asked = subscription(CRITERIA, type="rest-hook", endpoint=receiver.url("/none"))
    assert http.create(asked | {"end": "2020-01-01T00:00:00Z"})["status"] == "off"


def test_end_switches_off_and_silences(http, receiver, path):
    end = datetime.now(timezone.utc) + timedelta(seconds=1)
    made = http.create(subscription(CRITERIA, type="rest-hook", endpoint=receiver.url(path))
                       | {"end": end.isoformat(timespec="milliseconds")})
    assert made["status"] == "active"
    settled(lambda: http.read(made)["status"] == "off", 6)
    http.create(observation())
    assert receiver.wait(1, path, 0.5) == []


# Every path by which a resource can be written notifies, once, with its version

def by_post(http):
    return http.create(observation())["id"]


def by_put(http):
    return http.put(observation(id="by-put")).json["id"]


def by_patch(http):
    made = http.create(observation("other"))
    change = [{"op": "replace", "path": "/code/coding/0/code", "value": "718-7"}]
    assert http("PATCH", f"Observation/{made['id']}", change, JSON_PATCH).status_code == 200
    return made["id"]


def by_conditional_create(http):
    asked = observation(identifier=[{"value": "only-one"}])
    return http("POST", "Observation", asked, **{"If-None-Exist": "identifier=only-one"}).json["id"]


def by_conditional_update(http):
    return http("PUT", "Observation?identifier=up", observation(identifier=[{"value": "up"}])).json["id"]


def by_conditional_patch(http):
    made = http.create(observation("other", identifier=[{"value": "patched"}]))
    change = [{"op": "replace", "path": "/code/coding/0/code", "value": "718-7"}]
    assert http("PATCH", "Observation?identifier=patched", change, JSON_PATCH).status_code == 200
    return made["id"]


def bundle(kind):
    def write(http):
        entry = {"resource": observation(), "request": {"method": "POST", "url": "Observation"}}
        answer = http("POST", "", {"resourceType": "Bundle", "type": kind, "entry": [entry]})
        return answer.json["entry"][0]["response"]["location"].split("Observation/")[1].split("/")[0]
    write.__name__ = f"by_{kind}"
    return write


@pytest.mark.parametrize("write", [by_post, by_put, by_patch, by_conditional_create, by_conditional_update,
                                   by_conditional_patch, bundle("batch"), bundle("transaction")],
                         ids=lambda write: write.__name__)
def test_every_write_path_notifies_once(http, receiver, path, hook, write):
    id = write(http)
    assert [body["id"] for body in heard(receiver, path)] == [id]
    http.create(observation(identifier=[{"value": "last"}]))
    assert heard(receiver, path, 2)[1]["identifier"] == [{"value": "last"}]  # nothing came twice in between


def test_transaction_that_fails_notifies_nobody(http, receiver, path, hook):
    entries = [{"resource": observation(), "request": {"method": "POST", "url": "Observation"}},
               {"resource": {"resourceType": "Observation"}, "request": {"method": "POST", "url": "Observation"}}]
    failed = http("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert failed.status_code == 422
    assert receiver.wait(1, path, 0.5) == []


def test_bundle_entry_passes_the_same_door(http, receiver):
    asked = subscription("Observation?nonsense=1", type="rest-hook", endpoint=receiver.url("/none"))
    entry = {"resource": asked, "request": {"method": "POST", "url": "Subscription"}}
    refused = http("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert refused.status_code == 422 and "nonsense" in refused.text
    assert http("GET", "Subscription?_summary=count").json["total"] == 0


def test_patch_passes_the_same_door(http, hook):
    change = [{"op": "replace", "path": "/criteria", "value": "Observation?nonsense=1"}]
    assert http("PATCH", f"Subscription/{hook['id']}", change, JSON_PATCH).status_code == 422
    assert http.read(hook) == hook
    change = [{"op": "replace", "path": "/status", "value": "off"}]
    assert http("PATCH", f"Subscription/{hook['id']}", change, JSON_PATCH).json["status"] == "off"


# D5: secrets

def test_secret_is_masked_in_every_answer_and_sent_to_the_endpoint(http, receiver, path):
    header = ["Authorization: Bearer hush-hush", "X-Plain: seen"]
    made = http.create(subscription(CRITERIA, type="rest-hook", endpoint=receiver.url(path), header=header))
    again = http.put(made).json  # the mask written back keeps the secret
    answers = [json.dumps(made), json.dumps(again)] + [http("GET", path).text for path in (
        f"Subscription/{made['id']}", "Subscription", f"Subscription/{made['id']}/_history", "_history",
        f"Subscription/{made['id']}/_history/1")]
    assert all("hush-hush" not in answer and "Authorization: ***" in answer for answer in answers)
    http.create(observation())
    headers = receiver.wait(1, path)[0].headers
    assert headers["authorization"] == "Bearer hush-hush" and headers["x-plain"] == "seen"


def test_mask_without_a_stored_secret_is_refused(http, receiver):
    refused = http("POST", "Subscription", subscription(CRITERIA, type="rest-hook", endpoint=receiver.url("/none"),
                                                        header=["Cookie: ***"]))
    assert refused.status_code == 422
    assert refused.json["issue"][0]["expression"] == ["Subscription.channel.header[0]"]


# C1.9: search

@pytest.mark.parametrize("query", [
    "contact=ext 4123", "criteria=Observation?code=", "payload=application/fhir%2Bjson", "status=active",
    "type=rest-hook", "url=http://127.0.0.1:9000/found"])
def test_subscription_is_found_by(http, query):
    made = http.create(subscription(CRITERIA, type="rest-hook", endpoint="http://127.0.0.1:9000/found", payload=FHIR)
                       | {"contact": [{"system": "phone", "value": "ext 4123"}]})
    http.create(subscription("Patient", type="websocket") | {"status": "off"})
    found = http("GET", f"Subscription?{query}")
    assert [entry["resource"]["id"] for entry in found.json["entry"]] == [made["id"]]


# References and criteria may name this server in full

def test_own_base_url_means_this_server(http, receiver, path):
    http.create(subscription(f"http://localhost/fhir/{CRITERIA}&subject=Patient/1", type="rest-hook", payload=FHIR,
                             endpoint=receiver.url(path)))
    written = http.create(observation(subject={"reference": "http://localhost/fhir/Patient/1"}))
    http.create(observation(subject={"reference": "http://elsewhere/fhir/Patient/1"}))
    assert [body["id"] for body in heard(receiver, path)] == [written["id"]]
    found = http("GET", "Observation?subject=Patient/1").json["entry"]
    assert [entry["resource"]["id"] for entry in found] == [written["id"]]


# A3: what an endpoint answers

def test_failure_is_told_and_success_makes_active_again(live_url, tmp_path, receiver, path):
    app = fhirsub.create_app(DATABASE=live_url, HOST="127.0.0.1", SECRET_KEY_FILE=str(tmp_path / "key"), RETRY_FLOOR_S=0.1,
                             RETRY_SCHEDULE_S="0.3 0.3 0.3")
    http = Http(app)

    receiver.behave(path, status(500), status(200))
    made = http.create(subscription(CRITERIA, type="rest-hook", endpoint=receiver.url(path), payload=FHIR))
    first, second = http.create(observation()), http.create(observation())
    assert [body["id"] for body in heard(receiver, path, 3)] == [first["id"], first["id"], second["id"]]
    settled(lambda: http.read(made)["status"] == "active" and "error" not in http.read(made))
    told = [entry["resource"]["status"] for entry in http("GET", f"Subscription/{made['id']}/_history").json["entry"]]
    assert told == ["active", "error", "active"]
    attempts = receiver.at(path)
    assert attempts[0].headers["webhook-id"] == attempts[1].headers["webhook-id"] != attempts[2].headers["webhook-id"]
    app.extensions["fhirsub"].stop()


def test_410_switches_off(http, receiver, path, hook):
    receiver.behave(path, status(410))
    http.create(observation())
    settled(lambda: http.read(hook)["status"] == "off")
    assert "410" in http.read(hook)["error"]


def test_new_endpoint_gets_what_waits_for_the_old(http, receiver, path, hook):
    receiver.behave(path, status(500))
    written = http.create(observation())
    settled(lambda: http.read(hook)["status"] == "error")
    current = http.read(hook) | {"status": "requested"}
    current["channel"]["endpoint"] = receiver.url(f"{path}-new")
    assert http.put(current).json["status"] == "active"
    assert [body["id"] for body in heard(receiver, f"{path}-new")] == [written["id"]]


# What would narrow the notifications and is not evaluated is refused

@pytest.mark.parametrize("more, element", [
    ({"modifierExtension": [{"url": "http://example.org/only", "valueBoolean": True}]}, "Subscription.modifierExtension"),
    ({"_criteria": {"extension": [{"url": "http://example.org/filter", "valueString": "a"}]}}, "Subscription.criteria")])
def test_filter_that_would_be_ignored_is_refused(http, receiver, more, element):
    refused = http("POST", "Subscription", subscription(CRITERIA, type="rest-hook", endpoint=receiver.url("/x")) | more)
    assert refused.status_code == 422 and refused.json["issue"][0]["expression"] == [element]


def test_custom_channel_delivers(live_url, tmp_path):
    app = fhirsub.create_app(DATABASE=live_url, HOST="127.0.0.1", SECRET_KEY_FILE=str(tmp_path / "key"))
    sent = []

    @app.extensions["fhirsub"].channel("x-list")
    class Listed:
        def send(self, notification):
            sent.append((notification.event_number, notification.resource["id"]))

    http = Http(app)
    http.create(subscription(CRITERIA, type="x-list", payload=FHIR))
    written = http.create(observation())
    settled(lambda: sent)
    assert sent == [(1, written["id"])]
    app.extensions["fhirsub"].stop()
