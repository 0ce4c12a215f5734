import base64
import hmac
import json
import time
from concurrent.futures import Future
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest
from receiver import Receiver, hang, redirect, reset, status

from fhirsub import __version__
from fhirsub.config import Config
from fhirsub.delivery import signature
from fhirsub.delivery.channels import GiveUp, TryLater
from fhirsub.delivery.channels.rest_hook import RestHook
from fhirsub.delivery.egress import Egress
from fhirsub.delivery.notification import Notification
from fhirsub.errors import Unprocessable
from fhirsub.fhir import validation
from fhirsub.fhir.extensions import PAYLOAD_MODE, SIGNATURE

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
CONTENT = '{"resourceType":"Observation","id":"o1","valueDecimal":1.00,"note":"é"}'
FHIR = "application/fhir+json"


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def hook():
    """Makes a RestHook with settings."""
    made = []

    def make(**settings):
        config = Config({"HOST": "127.0.0.1", "ATTEMPT_TIMEOUT_S": 1.0} | settings, {})
        made.append(Egress(config))
        return RestHook(made[-1], config, lambda: NOW)
    yield make
    for egress in made:
        egress.close()


def send(hook, endpoint, content=None, *, event={}, **channel):
    if content is not None:
        channel = {"payload": FHIR} | channel
    subscription = {"resourceType": "Subscription", "id": "s1",
                    "channel": {"type": "rest-hook", "endpoint": endpoint} | channel}
    told = {"type": "Observation", "resource_id": "o1", "version_id": "3", "interaction": "update", "content": content}
    sent = hook.send(Notification(subscription, 7, 42, 1, **told | event))
    assert isinstance(sent, Future)
    return sent.result(10)


def test_without_payload_the_post_is_empty(hook, receiver):
    assert send(hook(), receiver.url("/a?b=c")).status == 200
    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path, arrival.body) == ("POST", "/a?b=c", b"")
    assert "content-type" not in arrival.headers and arrival.headers["content-length"] == "0"


@pytest.mark.parametrize("payload, content_type", [
    (FHIR, "application/fhir+json; charset=utf-8"), ("application/json", "application/json; charset=utf-8"),
    ("application/fhir+json;charset=UTF-8", "application/fhir+json;charset=UTF-8")])
def test_payload_is_posted_exactly_as_stored(hook, receiver, payload, content_type):
    send(hook(), receiver.url("/a"), CONTENT, payload=payload)
    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path, arrival.body) == ("POST", "/a", CONTENT.encode())
    assert arrival.headers["content-type"] == content_type


@pytest.mark.parametrize("endpoint, path", [
    ("/a", "/a/Observation/o1"), ("/a/", "/a/Observation/o1"), ("", "/Observation/o1"),
    ("/a?b=c/d", "/a/Observation/o1?b=c/d")])
def test_update_puts_payload_below_endpoint(hook, receiver, endpoint, path):  # the R4 text
    send(hook(PAYLOAD_MODE="update"), receiver.url(endpoint), CONTENT)
    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path, arrival.body) == ("PUT", path, CONTENT.encode())


def test_update_without_payload_is_the_empty_post(hook, receiver):
    send(hook(PAYLOAD_MODE="update"), receiver.url("/a"))
    assert (receiver.arrivals[0].method, receiver.arrivals[0].path) == ("POST", "/a")


@pytest.mark.parametrize("setting, code, method", [("post", "update", "PUT"), ("update", "post", "POST")])
def test_channel_extension_wins_over_setting(hook, receiver, setting, code, method):
    extension = [{"url": "http://example.org/other", "valueCode": "x"}, {"url": PAYLOAD_MODE, "valueCode": code}]
    send(hook(PAYLOAD_MODE=setting), receiver.url("/a"), CONTENT, extension=extension)
    assert receiver.arrivals[0].method == method


def test_notification_is_identified(hook, receiver):
    send(hook(), receiver.url())
    headers = receiver.arrivals[0].headers
    assert headers["webhook-id"] == "evt-7-42"
    assert headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    assert headers["x-fhir-subscription"] == "s1" and headers["x-fhir-event-number"] == "42"
    assert headers["user-agent"] == f"fhirsub/{__version__}"


def test_version_is_told_with_and_without_payload(hook, receiver):
    for content in (None, CONTENT):
        send(hook(), receiver.url(), content)
    for arrival in receiver.arrivals:
        assert arrival.headers["x-fhir-resource"] == "Observation/o1/_history/3"
        assert arrival.headers["x-fhir-interaction"] == "update"
        assert not arrival.headers.keys() & {"x-fhir-event", "x-fhir-topic", "webhook-signature"}


@pytest.mark.parametrize("event, told", [
    ({"transition": "enter"}, "enter"), ({"transition": "leave"}, "leave"),
    ({"interaction": "delete", "transition": "delete"}, "delete"), ({"interaction": "raise"}, "raise"),
    ({"interaction": "periodic"}, "periodic"), ({"interaction": "read", "transition": None}, "read")])
def test_event_and_topics_are_told(hook, receiver, event, told):
    send(hook(), receiver.url(), event=event | {"topics": ("adt-a01", "adt-a08")})
    headers = receiver.arrivals[0].headers
    assert (headers["x-fhir-event"], headers["x-fhir-topic"]) == (told, "adt-a01, adt-a08")


def test_ids_of_a_host_application_break_no_header(hook, receiver):
    send(hook(), receiver.url(), event={"resource_id": "a b\r\nX-Smuggled: 1", "version_id": "é/1"})
    headers = receiver.arrivals[0].headers
    assert headers["x-fhir-resource"] == "Observation/a%20b%0D%0AX-Smuggled%3A%201/_history/%C3%A9%2F1"
    assert "x-smuggled" not in headers


GONE = [({"interaction": "delete"}, "DELETE", "204"), ({"interaction": "delete", "transition": "delete"}, "DELETE", "204"),
        ({"interaction": "update", "transition": "leave"}, "PUT", "200")]


@pytest.mark.parametrize("event, method, code", GONE)
def test_delete_and_leave_are_told_without_the_resource(hook, receiver, event, method, code):
    event = event | {"content": None, "recorded_at": NOW}
    send(hook(BASE_URL="https://fhir.example.org/r4/"), receiver.url("/a"), payload=FHIR, event=event)
    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path) == ("POST", "/a")
    assert arrival.headers["content-type"] == "application/fhir+json; charset=utf-8"
    bundle = json.loads(arrival.body)
    validation.check(bundle, "Bundle")
    assert bundle == {"resourceType": "Bundle", "type": "history", "entry": [{
        "fullUrl": "https://fhir.example.org/r4/Observation/o1", "request": {"method": method, "url": "Observation/o1"},
        "response": {"status": code, "etag": 'W/"3"', "lastModified": "2026-03-01T12:00:00.000Z"}}]}


def test_delete_in_update_mode_is_a_delete(hook, receiver):
    send(hook(PAYLOAD_MODE="update"), receiver.url("/a?b=c"), payload=FHIR, event={"interaction": "delete"})
    (arrival,) = receiver.arrivals
    assert (arrival.method, arrival.path, arrival.body) == ("DELETE", "/a/Observation/o1?b=c", b"")
    assert "content-type" not in arrival.headers


def test_leave_in_update_mode_is_a_post(hook, receiver):
    send(hook(PAYLOAD_MODE="update"), receiver.url("/a"), payload=FHIR, event={"transition": "leave"})
    assert (receiver.arrivals[0].method, receiver.arrivals[0].path) == ("POST", "/a")


@pytest.mark.parametrize("event, _, __", GONE)
def test_delete_and_leave_without_payload_are_the_empty_post(hook, receiver, event, _, __):
    send(hook(PAYLOAD_MODE="update"), receiver.url("/a"), event=event)
    assert (receiver.arrivals[0].method, receiver.arrivals[0].body) == ("POST", b"")


@pytest.mark.parametrize("content", [None, CONTENT])
def test_notification_is_signed_with_every_secret(hook, receiver, content):
    secrets = [signature.PREFIX + base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2)]
    send(hook(), receiver.url(), content, extension=[{"url": SIGNATURE, "valueString": " ".join(secrets)}])
    (arrival,) = receiver.arrivals
    signed = f"evt-7-42.{int(NOW.timestamp())}.".encode() + (content or "").encode()
    wanted = [base64.b64encode(hmac.digest(bytes([number]) * 32, signed, "sha256")).decode() for number in (1, 2)]
    assert arrival.headers["webhook-signature"] == f"v1,{wanted[0]} v1,{wanted[1]}"


def test_channel_headers_are_sent_as_given(hook, receiver):
    send(hook(), receiver.url(), header=["Authorization: Bearer a:b=c", "X-Empty:", "X-Tab: a\tb", "X-Umlaut: ü"])
    headers = receiver.arrivals[0].headers
    assert headers["authorization"] == "Bearer a:b=c" and headers["x-empty"] == "" and headers["x-tab"] == "a\tb"


@pytest.mark.parametrize("line", [
    "Host: internal", "content-length: 5", "Transfer-Encoding: chunked", "Connection: close", "TE: x", "Trailer: x",
    "Upgrade: x", "Expect: 100-continue", "Content-Type: text/html", "Content-Encoding: gzip", "Proxy-Authorization: x",
    "User-Agent: me", "webhook-id: evt-0-0", "X-FHIR-Event-Number: 0", "Accept-Encoding: gzip",
    "X-Bad: a\r\nX-Smuggled: 1", "X-Bad\r\nX-Smuggled: 1", "X Bad: 1", ": 1", "", "X-Nul: a\x00b"])
def test_forbidden_or_malformed_header_is_dropped(hook, receiver, line):
    send(hook(), receiver.url(), header=[line, "X-Good: 1"])
    headers = receiver.arrivals[0].headers
    assert headers["x-good"] == "1" and "x-smuggled" not in headers and "x-bad" not in headers
    assert headers["host"] == f"127.0.0.1:{receiver.port}" and headers["webhook-id"] == "evt-7-42"
    assert headers["user-agent"].startswith("fhirsub/") and headers["content-length"] == "0"
    assert headers["x-fhir-event-number"] == "42" and headers["accept-encoding"] == "identity"
    assert not headers.keys() & {"transfer-encoding", "te", "expect", "upgrade", "content-type", "proxy-authorization"}


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_status_2xx_is_accepted(hook, receiver, code):
    receiver.behave("/", status(code))
    assert send(hook(), receiver.url()).status == code


@pytest.mark.parametrize("code, throttled", [
    (301, False), (400, False), (401, False), (404, False), (408, False), (429, True), (500, False), (502, True),
    (503, True), (504, True)])
def test_other_status_is_tried_later(hook, receiver, code, throttled):
    receiver.behave("/", status(code))
    with pytest.raises(TryLater) as caught:
        send(hook(), receiver.url())
    assert (caught.value.after_s, caught.value.throttled, caught.value.attempted) == (None, throttled, True)
    assert (caught.value.status, caught.value.error) == (code, "status")
    assert str(code) in caught.value.reason


def test_410_gives_up(hook, receiver):
    receiver.behave("/", status(410))
    with pytest.raises(GiveUp, match="410"):
        send(hook(), receiver.url())


@pytest.mark.parametrize("text", ["90", format_datetime(NOW + timedelta(seconds=90), usegmt=True)])
def test_retry_after_is_passed_on(hook, receiver, text):
    receiver.behave("/", status(429, [("Retry-After", text)]))
    with pytest.raises(TryLater) as caught:
        send(hook(), receiver.url())
    assert caught.value.after_s == 90


def test_redirect_is_named_and_not_followed(hook, receiver):
    receiver.behave("/", redirect(receiver.url("/other")))
    with pytest.raises(TryLater, match="redirects are not followed"):
        send(hook(), receiver.url())
    assert not receiver.at("/other")


def test_no_answer_in_time_is_throttled(hook, receiver):
    receiver.behave("/", hang())
    with pytest.raises(TryLater, match="in time") as caught:
        send(hook(), receiver.url())
    assert caught.value.throttled


def test_reset_is_tried_later(hook, receiver):
    receiver.behave("/", reset())
    with pytest.raises(TryLater, match="broke off"):
        send(hook(), receiver.url())


def test_reason_tells_no_address_and_no_secret(hook, receiver):
    """It stands in a resource that others may read; whether there is anything at a forbidden address it does not say."""
    guarded, reasons = hook(HOST="0.0.0.0", ALLOW_HTTP=True), []
    for made, endpoint in [(guarded, receiver.url("/path?key=secret")), (guarded, "http://127.0.0.1:1999/path?key=secret"),
                           (hook(), "http://127.0.0.1:1999/path?key=secret")]:
        with pytest.raises(TryLater) as caught:
            send(made, endpoint, header=["Authorization: Bearer secret"])
        reasons.append(caught.value.reason)
    assert reasons[0] == reasons[1] and "not allowed" in reasons[0]
    assert "secret" not in str(reasons) and "127.0.0.1" not in str(reasons)


def test_send_does_not_wait(hook, receiver):
    receiver.behave("/", hang())
    made, started = hook(), time.monotonic()
    subscription = {"id": "s", "channel": {"endpoint": receiver.url()}}
    sent = made.send(Notification(subscription, 1, 1, 1, "Patient", "p", "1", "create"))
    assert time.monotonic() - started < 5 and not sent.done()


def test_check_wants_an_endpoint_this_server_may_send_to(hook):
    config = Config({"HOST": "0.0.0.0"}, {})
    for channel in ({"type": "rest-hook"}, {"type": "rest-hook", "endpoint": "https://127.0.0.1/"}):
        with pytest.raises(Unprocessable) as caught:
            hook().check(channel, config)
        assert caught.value.issues[0].expression == "Subscription.channel.endpoint"


def test_check_refuses_unknown_payload_mode(hook):
    channel = {"endpoint": "http://127.0.0.1:8000/", "extension": [{"url": PAYLOAD_MODE, "valueCode": "patch"}]}
    with pytest.raises(Unprocessable, match="post or update"):
        hook().check(channel, Config({"HOST": "127.0.0.1"}, {}))
