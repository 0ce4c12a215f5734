"""What a Subscription may be, as the door of the type says: https://hl7.org/fhir/R4/subscription.html"""
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from pipeline import NOW
from sqlalchemy import select

from fhirsub.config import Config
from fhirsub.errors import Unprocessable
from fhirsub.fhir.extensions import ORDERING
from fhirsub.store.tables import secret_header
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.secrets import Vault, is_secret, load_key

CONFIG = Config({}, {})
CHANNELS = {"rest-hook": object(), "websocket": object()}


@pytest.fixture
def door():
    return SubscriptionDoor(CHANNELS, Vault(Fernet.generate_key()))


def subscription(**more):
    channel = {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/hook"} | more.pop("channel", {})
    return {"resourceType": "Subscription", "id": "s", "status": "requested", "reason": "test",
            "criteria": "Observation?status=final", "channel": channel} | more


@pytest.mark.parametrize("more, expression, words", [
    ({"status": "error"}, "Subscription.status", "only the server sets error"),
    ({"criteria": "Nonsense?code=1"}, "Subscription.criteria", "Nonsense"),
    ({"criteria": "Observation?nonsense=1"}, "Subscription.criteria", "nonsense"),
    ({"criteria": "Observation?_sort=date"}, "Subscription.criteria", "_sort"),
    ({"channel": {"type": "sms"}}, "Subscription.channel.type", "rest-hook, websocket; got 'sms'"),
    ({"channel": {"extension": [{"url": ORDERING, "valueCode": "both"}]}}, "Subscription.channel.extension",
     "strict or parallel, once; got 'both'"),
    ({"channel": {"extension": [{"url": ORDERING, "valueString": "parallel"}]}}, "Subscription.channel.extension",
     "takes valueCode"),
    ({"channel": {"type": "websocket", "extension": [{"url": ORDERING, "valueCode": "parallel"}]}},
     "Subscription.channel.extension", "leave out http"),
    ({"channel": {"payload": "application/fhir+xml"}}, "Subscription.channel.payload", "application/fhir+xml"),
    ({"channel": {"payload": "application/json;\nX-Evil: 1"}}, "Subscription.channel.payload", "application/fhir+json"),
    ({"channel": {"payload": "image/png"}}, "Subscription.channel.payload", "application/fhir+json"),
    ({"channel": {"header": ["no colon"]}}, "Subscription.channel.header[0]", "Name: value"),
    ({"channel": {"header": ["X: 1", "X: 1\r\nY: 2"]}}, "Subscription.channel.header[1]", "line break"),
    ({"channel": {"header": ["Host: elsewhere"]}}, "Subscription.channel.header[0]", "set by the server"),
    ({"channel": {"header": ["webhook-id: 1"]}}, "Subscription.channel.header[0]", "set by the server"),
    ({"channel": {"header": ["X: " + "a" * 5000]}}, "Subscription.channel.header[0]", "at most 4096 bytes"),
    ({"channel": {"header": [f"X-{n}: 1" for n in range(21)]}}, "Subscription.channel.header", "at most 20"),
])
def test_check_names_the_element_and_what_would_do(door, more, expression, words):
    with pytest.raises(Unprocessable) as refused:
        door.check(subscription(**more), config=CONFIG)
    issue = refused.value.issues[0]
    assert issue.expression == expression and words in issue.diagnostics


@pytest.mark.parametrize("kind", [{}, [], None, 5])
def test_fill_leaves_a_type_that_is_no_code_to_the_schema(door, kind):
    assert door.fill(subscription(channel={"type": kind}))["channel"]["type"] == kind


def test_check_names_every_problem_at_once(door):
    with pytest.raises(Unprocessable) as refused:
        door.check(subscription(status="error", criteria="Nonsense", channel={"type": "sms"}), config=CONFIG)
    assert len(refused.value.issues) == 3


@pytest.mark.parametrize("more", [
    {}, {"status": "active"}, {"status": "off"}, {"channel": {"type": "websocket"}},
    {"channel": {"payload": "application/fhir+json;charset=UTF-8", "header": ["Authorization: Bearer a:b", "X-A: 1"]}},
])
def test_check_accepts(door, more):
    door.check(subscription(**more), config=CONFIG)


def test_fill_makes_up_for_what_the_connectathon_left_out(door):
    filled = door.fill({"resourceType": "Subscription", "criteria": "Patient", "channel": {"type": "websocket"}})
    assert filled["status"] == "requested" and filled["reason"]


@pytest.mark.parametrize("sent, stored", [
    ({"status": "requested"}, "active"), ({"status": "active"}, "active"), ({"status": "off"}, "off"),
    ({"end": "2024-05-01T12:00:00Z"}, "off"), ({"end": "2024-05-01T12:00:01Z"}, "active"),
])
def test_admit_sets_the_status(door, database, sent, stored):
    admitted = admitted_by(door, database, subscription(**sent) | {"error": "old"})
    assert admitted["status"] == stored and "error" not in admitted


def test_admit_without_status_is_active(door, database):
    sent = {name: value for name, value in subscription().items() if name != "status"}
    assert admitted_by(door, database, sent)["status"] == "active"


def admitted_by(door, database, sent, current=None):
    with database.write() as tx, door.admitting(tx, ["s"], now=NOW, config=CONFIG) as admit:
        return admit(sent, current)


def admit(door, database, *headers, current=None):
    sent = subscription(channel={"header": list(headers)} if headers else {})
    return admitted_by(door, database, sent, current)["channel"].get("header")


def reveal(door, database, *headers):
    with database.read() as tx:
        return door.vault.reveal(tx, "s", list(headers))


def test_secret_is_masked_encrypted_and_revealed(door, database):
    assert admit(door, database, "Authorization: Bearer abc", "X-Plain: 1") == ["Authorization: ***", "X-Plain: 1"]
    with database.read() as tx:
        assert "abc" not in str(tx.execute(select(secret_header)).all())
    assert reveal(door, database, "Authorization: ***", "X-Plain: 1") == ["Authorization: Bearer abc", "X-Plain: 1"]


def test_mask_written_back_keeps_the_secret_and_a_new_value_replaces_it(door, database):
    admit(door, database, "Authorization: Bearer abc")
    admit(door, database, "authorization: ***")
    assert reveal(door, database, "authorization: ***") == ["authorization: Bearer abc"]
    admit(door, database, "Authorization: Bearer new")
    assert reveal(door, database, "Authorization: ***") == ["Authorization: Bearer new"]


@pytest.mark.parametrize("endpoint", [
    "http://127.0.0.1:10/hook", "https://127.0.0.1:9/hook", "http://evil.example/hook", "http://127.0.0.2:9/hook", None])
def test_mask_sends_no_secret_to_another_host(door, database, endpoint):
    before = subscription(channel={"header": ["Authorization: ***"]})
    admit(door, database, "Authorization: Bearer abc")
    with pytest.raises(Unprocessable, match="give the value"):
        admitted_by(door, database, moved(before, endpoint), before)


def test_mask_keeps_the_secret_for_another_path_of_the_same_host(door, database):
    before = subscription(channel={"header": ["Authorization: ***"]})
    admit(door, database, "Authorization: Bearer abc")
    admitted_by(door, database, moved(before, "http://127.0.0.1:9/other"), before)
    assert reveal(door, database, "Authorization: ***") == ["Authorization: Bearer abc"]


def moved(before, endpoint):
    return before | {"channel": before["channel"] | {"endpoint": endpoint}}


def test_mask_without_a_stored_secret_is_refused(door, database):
    with pytest.raises(Unprocessable, match="none is stored"):
        admit(door, database, "Authorization: ***")


def test_secret_is_forgotten_when_its_header_goes(door, database):
    admit(door, database, "Authorization: Bearer abc")
    admit(door, database, current=subscription(channel={"header": ["Authorization: ***"]}))
    with database.read() as tx:
        assert tx.execute(select(secret_header)).all() == []


def test_secret_header_given_twice_is_refused(door, database):
    with pytest.raises(Unprocessable, match="twice"):
        admit(door, database, "Cookie: a", "cookie: b")


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key", "X-Auth-Token", "client-secret", "X-Password"])
def test_is_secret(name):
    assert is_secret(name)


def test_load_key_makes_one_and_keeps_it(tmp_path):
    config = Config({"SECRET_KEY_FILE": str(tmp_path / "a.key")}, {})
    assert load_key(config) == load_key(config)
    assert (tmp_path / "a.key").stat().st_mode & 0o777 == 0o600


def test_load_key_names_a_setting_that_is_no_key(tmp_path):
    with pytest.raises(ValueError, match="FHIRSUB_SECRET_KEY: expected 32 bytes"):
        load_key(Config({"SECRET_KEY": "hush", "SECRET_KEY_FILE": str(tmp_path / "a.key")}, {}))
    assert list(tmp_path.iterdir()) == []
