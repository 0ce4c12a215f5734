"""The channel message against a real endpoint. Spec: https://hl7.org/fhir/R4/messaging.html"""
from datetime import datetime, timezone

import pytest
from live import FHIR, observation, subscription
from receiver import Receiver, status

import fhirsub
from fhirsub.config import Config
from fhirsub.delivery.channels import GiveUp, TryLater
from fhirsub.delivery.channels.message import Message, operation
from fhirsub.delivery.egress import Egress
from fhirsub.delivery.notification import Notification
from fhirsub.errors import Unprocessable
from fhirsub.fhir import json
from fhirsub.fhir.validation import check

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
CONTENT = ('{"resourceType":"Observation","id":"o1","meta":{"versionId":"3"},"status":"final","code":{"text":"é"},'
           '"valueQuantity":{"value":1.00}}')
BASE = "https://fhir.example.org/r4"


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture(scope="module")
def config():
    return Config({"HOST": "127.0.0.1", "BASE_URL": f"{BASE}/"}, {})


@pytest.fixture(scope="module")
def message(config):
    egress = Egress(config)
    yield Message(egress, config, lambda: NOW)
    egress.close()


@pytest.fixture
def sent(message, receiver):
    """Sends a notification; returns the Bundle that arrived, which is valid R4."""
    def send(content=None, interaction="update", payload=FHIR, **more):
        channel = {"type": "message", "endpoint": receiver.url("/base"), "payload": payload}
        notification = Notification({"id": "s1", "channel": channel}, 7, 42, 1, "Observation", "o1", "3", interaction,
                                    content, **more)
        message.send(notification).result(30)
        arrived = json.decode(receiver.arrivals[-1].body)
        check(arrived, "Bundle")
        return arrived
    return send


def test_message_is_posted_to_the_operation(sent, receiver):
    sent(CONTENT)
    arrival = receiver.arrivals[-1]
    assert (arrival.method, arrival.path) == ("POST", "/base/$process-message")
    assert arrival.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert arrival.headers["webhook-id"] == "evt-7-42"


def test_message_has_its_header_first_and_then_the_version(sent):
    bundle = sent(CONTENT)
    header, version = (entry["resource"] for entry in bundle["entry"])
    assert bundle["type"] == "message" and header["resourceType"] == "MessageHeader"
    assert header["eventCoding"]["code"] == "update" and header["source"]["endpoint"] == BASE
    assert header["focus"] == [{"reference": f"{BASE}/Observation/o1"}]
    assert bundle["entry"][1]["fullUrl"] == f"{BASE}/Observation/o1"
    assert json.encode(version).decode() == CONTENT


@pytest.mark.parametrize("content, more", [
    (None, {}), (None, {"interaction": "delete"}), (CONTENT, {"transition": "leave"}),
    (None, {"transition": "delete"})])
def test_message_names_the_resource_only_without_payload_and_when_it_is_gone(sent, content, more):
    bundle = sent(content, **more)
    (entry,) = bundle["entry"]
    assert entry["resource"]["focus"] == [{"reference": f"{BASE}/Observation/o1"}]
    assert entry["resource"]["eventCoding"]["code"] == (more.get("transition") or more.get("interaction") or "update")


def test_message_refers_to_what_was_raised_with_it(sent):
    (entry,) = sent(interaction="raise", context=("Encounter/e1",))["entry"]
    assert entry["resource"]["focus"][1:] == [{"reference": "Encounter/e1"}]


def test_header_has_the_same_id_at_every_attempt_and_the_bundle_another(sent):
    first, second = sent(), sent()
    assert first["entry"][0]["resource"]["id"] == second["entry"][0]["resource"]["id"]
    assert first["id"] != second["id"]


@pytest.mark.parametrize("endpoint, url", [
    ("https://a.org", "https://a.org/$process-message"), ("https://a.org/fhir/", "https://a.org/fhir/$process-message"),
    ("https://a.org/fhir?x=1", "https://a.org/fhir/$process-message?x=1"),
    ("https://a.org/fhir/$process-message", "https://a.org/fhir/$process-message"),
    ("https://a.org/$process-message?async=false", "https://a.org/$process-message?async=false")])
def test_operation_is_below_the_base_unless_it_is_named(endpoint, url):
    assert operation(endpoint) == url


@pytest.mark.parametrize("answer, raised", [(500, TryLater), (301, TryLater), (410, GiveUp)])
def test_message_that_is_not_accepted_is_judged_as_for_rest_hook(sent, receiver, answer, raised):
    receiver.behave("/base/$process-message", status(answer), status(200))
    with pytest.raises(raised, match=str(answer)):
        sent()


@pytest.mark.parametrize("channel", [{}, {"endpoint": "mailto:a@example.org"}, {"endpoint": "http://10.0.0.1/fhir"}])
def test_check_refuses_an_endpoint_that_cannot_be_sent_to(message, config, channel):
    with pytest.raises(Unprocessable) as refused:
        message.check({"type": "message"} | channel, config)
    assert refused.value.issues[0].expression == "Subscription.channel.endpoint"


def test_subscription_sends_a_message_for_each_event(live_url, receiver, tmp_path):
    app = fhirsub.create_app(DATABASE=live_url, HOST="127.0.0.1", SECRET_KEY_FILE=str(tmp_path / "key"))
    with app.test_client() as client:
        def post(resource):
            answer = client.post(f"/fhir/{resource['resourceType']}", data=json.encode(resource), content_type=FHIR)
            assert answer.status_code == 201, answer.text
            return answer.json

        endpoint = receiver.url(f"/{live_url[:4]}")
        post(subscription("Observation?code=718-7", type="message", endpoint=endpoint, payload=FHIR))
        made = [post(observation()) for _ in range(2)]
        arrivals = receiver.wait(2, f"/{live_url[:4]}/$process-message", 30)
    app.extensions["fhirsub"].stop()
    told = [json.decode(arrival.body)["entry"][1]["resource"]["id"] for arrival in arrivals]
    assert told == [each["id"] for each in made]
