"""The channel email against a real mail server. Spec: https://hl7.org/fhir/R4/subscription.html"""
import socket
from datetime import datetime, timezone

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from live import FHIR, Client, Live, observation, subscription
from mail_server import MailServer, certificate

import fhirsub
from fhirsub.config import Config
from fhirsub.delivery.channels import GiveUp, TryLater
from fhirsub.delivery.channels.email import Email
from fhirsub.delivery.notification import Notification
from fhirsub.errors import Unprocessable
from fhirsub.fhir import json

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
TO = "mailto:anna@example.org"
CONTENT = '{"resourceType":"Observation","id":"o1","valueDecimal":1.00,"note":"é"}'


@pytest.fixture
def server():
    with MailServer() as running:
        yield running


def email(port=587, **settings):
    given = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_TLS": "none", "SMTP_SENDER": "fhir@example.org"}
    return Email(Config(given | settings, {}), lambda: NOW)


def notification(content=None, event_number=42, **channel):
    stored = {"resourceType": "Subscription", "id": "s1", "channel": {"type": "email", "endpoint": TO} | channel}
    return Notification(stored, 7, event_number, 1, "Observation", "o1", "3", "update", content)


def test_mail_has_one_recipient_and_the_subject_of_header(server):
    email(server.port).send(notification(header=["Neuer Wert für", "Station 7"]))
    (mail,) = server.mails
    assert server.recipients == [("fhir@example.org", ["anna@example.org"])]
    assert mail["To"] == "anna@example.org" and mail["From"] == "fhir@example.org"
    assert mail["Subject"] == "Neuer Wert für Station 7"
    assert mail["Auto-Submitted"] == "auto-generated"


def test_mail_without_payload_tells_nothing_of_the_resource(server):
    email(server.port).send(notification())
    text = server.mails[0].as_string()
    assert "Observation" not in text and "o1" not in text and "Subscription/s1" in text


def test_mail_has_the_payload_exactly_as_stored(server):
    email(server.port).send(notification(CONTENT, payload=FHIR))
    assert server.mails[0].get_content_type() == FHIR
    assert server.mails[0].get_content() == CONTENT.encode()


def test_message_id_is_the_same_for_every_attempt(server):
    for event_number in (42, 42, 43):
        email(server.port).send(notification(event_number=event_number))
    first, again, other = (mail["Message-ID"] for mail in server.mails)
    assert first == again == "<evt-7-42.s1@example.org>" != other


@pytest.mark.parametrize("command, answer, throttled", [
    ("MAIL", "451 4.3.0 busy at inner.example.org", False), ("RCPT", "450 4.2.1 mailbox busy", False),
    ("RCPT", "550 5.7.1 relaying denied by inner.example.org", False), ("RCPT", "552 5.2.2 mailbox full", False),
    ("DATA", "554 5.6.0 content refused", False),
    ("MAIL", "530 5.7.0 log in first", False), ("RCPT", "421 4.3.2 bye", True)])
def test_mail_is_tried_later_when_the_server_refuses_it(server, command, answer, throttled):
    server.answers[command] = answer
    with pytest.raises(TryLater) as refused:
        email(server.port).send(notification())
    assert answer[:3] in refused.value.reason and "inner" not in refused.value.reason
    assert refused.value.throttled == throttled and not server.mails


@pytest.mark.parametrize("answer", ["550 5.1.1 unknown", "550 no such user", "553 5.1.3 bad", "550 5.2.1 disabled"])
def test_mail_is_given_up_when_there_is_no_such_mailbox(server, answer):
    server.answers["RCPT"] = answer
    with pytest.raises(GiveUp, match="no such mailbox"):
        email(server.port).send(notification())


def test_mail_is_accepted_when_the_server_fails_only_afterwards(server):
    server.answers["QUIT"] = "421 going down"
    email(server.port).send(notification())
    assert len(server.mails) == 1


def test_mail_is_tried_later_when_the_server_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        with pytest.raises(TryLater, match="in time") as late:
            email(silent.getsockname()[1], ATTEMPT_TIMEOUT_S=0.2).send(notification())
    assert late.value.throttled


def test_mail_is_tried_later_when_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(TryLater, match="could not be reached"):
        email(port).send(notification())


def test_mail_waits_for_a_server_that_offers_tls(server):
    with pytest.raises(TryLater, match="does not offer"):
        email(server.port, SMTP_TLS="starttls").send(notification())
    assert not server.mails


def test_mail_is_sent_with_login_over_tls_to_a_trusted_server(tmp_path):
    path, context = certificate(tmp_path)

    def login(server, session, envelope, mechanism, given):
        return AuthResult(success=given == LoginPassword(b"me", b"secret"), handled=False)

    with MailServer(tls_context=context, require_starttls=True, auth_required=True, authenticator=login) as server:
        settings = {"SMTP_TLS": "starttls", "SMTP_USER": "me", "SMTP_PASSWORD": "secret"}
        with pytest.raises(TryLater, match="no trusted TLS"):
            email(server.port, **settings).send(notification())
        settings["EXTRA_CA_FILE"] = str(path)
        with pytest.raises(TryLater, match="535"):
            email(server.port, **settings | {"SMTP_PASSWORD": "wrong"}).send(notification())
        email(server.port, **settings).send(notification())
        assert len(server.mails) == 1


def test_mail_is_sent_over_tls_from_the_first_byte(tmp_path):
    path, context = certificate(tmp_path)
    with MailServer(ssl_context=context) as server:
        email(server.port, SMTP_TLS="tls", EXTRA_CA_FILE=str(path)).send(notification())
        assert len(server.mails) == 1


@pytest.mark.parametrize("endpoint", [
    "", "anna@example.org", "mailto:", "mailto:anna", "https://example.org", "mailto:a@example.org,b@example.org",
    "mailto:anna@example.org?cc=b@example.org", "mailto:anna@example.org?body=x",
    "mailto:anna@example.org\r\nBcc: b@x.org",
    "mailto:b%x.org@example.org", "mailto:x.org!b@example.org", 'mailto:"a b"@example.org', "mailto:anna@[127.0.0.1]",
    "mailto:@example.org", "mailto:anna@example..org", "mailto:" + 65 * "a" + "@example.org"])
def test_check_refuses_what_is_no_single_address(endpoint):
    with pytest.raises(Unprocessable, match="email needs mailto: and one address") as refused:
        email().check({"type": "email", "endpoint": endpoint}, None)
    assert refused.value.issues[0].expression == "Subscription.channel.endpoint"


@pytest.mark.parametrize("domains, allowed, refused", [
    ("", "mailto:anna@Example.org", "mailto:anna@sub.example.org"),
    ("b.org c.org", "mailto:anna@c.org", "mailto:anna@example.org"), ("*", "mailto:anna@anywhere.net", None)])
def test_check_refuses_other_domains(domains, allowed, refused):
    made = email(EMAIL_DOMAINS=domains)
    made.check({"endpoint": allowed}, None)
    if refused:
        with pytest.raises(Unprocessable, match="sends mail to"):
            made.check({"endpoint": refused}, None)


def test_mail_is_kept_back_when_the_settings_no_longer_allow_its_domain(server):
    with pytest.raises(TryLater, match="sends mail to b.org only"):
        email(server.port, EMAIL_DOMAINS="b.org").send(notification())
    assert not server.mails


@pytest.mark.parametrize("channel, element", [
    ({"header": ["News\r\nBcc: b@example.org"]}, "header"), ({"header": ["News\u2028Bcc: b"]}, "header"),
    ({"header": 21 * ["ten chars."]}, "header"), ({"payload": "application/fhir+xml"}, "payload"),
    ({"payload": "text/html"}, "payload"), ({"payload": "text/plain\nBcc: x"}, "payload")])
def test_check_refuses_what_no_mail_can_have(channel, element):
    with pytest.raises(Unprocessable) as refused:
        email().check({"endpoint": TO} | channel, None)
    assert [issue.expression for issue in refused.value.issues] == [f"Subscription.channel.{element}"]


@pytest.mark.parametrize("settings, name", [
    ({"SMTP_SENDER": ""}, "SMTP_SENDER"), ({"SMTP_SENDER": "a@b\nBcc: c"}, "SMTP_SENDER"),
    ({"SMTP_USER": "me"}, "SMTP_USER"), ({"EMAIL_PER_HOUR": 0}, "EMAIL_PER_HOUR")])
def test_contradicting_settings_are_named(settings, name):
    with pytest.raises(ValueError, match=name):
        email(**settings)


def test_more_mails_than_an_hour_allows_wait_and_use_up_nothing(server):
    made = email(server.port, EMAIL_PER_HOUR=2)
    for event_number in (1, 2):
        made.send(notification(event_number=event_number))
    with pytest.raises(TryLater, match="2 mails an hour") as late:
        made.send(notification(event_number=3))
    assert late.value.after_s == pytest.approx(1800, abs=60) and not late.value.attempted
    assert len(server.mails) == 2


def test_subscription_mails_each_event_in_order(live_url, server, tmp_path):
    settings = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": server.port, "SMTP_TLS": "none",
                "SMTP_SENDER": "fhir@example.org"}
    with Live(live_url, tmp_path, **settings) as live:
        client = Client(live)
        made = client.create(subscription("Observation?code=718-7", type="email", endpoint=TO, payload="text/plain",
                                          header=["API key expired"]))
        assert made["channel"]["header"] == ["API key expired"]  # a subject, no secret header
        written = [client.create(observation()) for _ in range(3)]
        mails = server.wait(3)
        assert "`email`" in json.encode(client.request("GET", "metadata")[1]).decode()
    assert [mail.get_content().split()[0] for mail in mails] == [f"Observation/{each['id']}" for each in written]
    assert {mail["Subject"] for mail in mails} == {"API key expired"}


def test_subscription_without_a_mail_server_is_refused(sqlite_url, tmp_path):
    app = fhirsub.create_app(DATABASE=sqlite_url, SECRET_KEY_FILE=str(tmp_path / "key"), WORKERS=False)
    with app.test_client() as client:
        answer = client.post("/fhir/Subscription", content_type=FHIR, data=json.encode(
            subscription("Observation?code=718-7", type="email", endpoint=TO)))
        assert answer.status_code == 422 and "email" in answer.text
        assert "`email`" not in client.get("/fhir/metadata").text
    app.extensions["fhirsub"].stop()
