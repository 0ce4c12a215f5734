"""The channel email: a mail to one address for each event, handed to the mail server that the settings name.

The subject is ``channel.header``; ``channel.payload`` decides the body. It is there only when SMTP_HOST is set.

Spec: https://hl7.org/fhir/R4/subscription.html, https://www.rfc-editor.org/rfc/rfc6068,
https://www.rfc-editor.org/rfc/rfc5321#section-4.2, https://www.rfc-editor.org/rfc/rfc3463
"""
from __future__ import annotations

import re
import smtplib
import ssl
from contextlib import closing
from datetime import datetime, timezone

from ...errors import Issue, Unprocessable
from ..allowance import Allowance
from . import GiveUp, TryLater
from .mail import compose, subject

HOUR_S = 3600
MAX_SUBJECT = 200  # characters; RFC 5322 wants lines of 998 bytes at most, encoded

# Narrower than RFC 5321: no quotes, and neither % nor !, by which a relay may be told of another recipient.
_ADDRESS = re.compile(r"[A-Za-z0-9#$&'*+/=?^_`{|}~-][A-Za-z0-9.#$&'*+/=?^_`{|}~-]{0,63}@(?P<domain>(?:[A-Za-z0-9]"
                      r"(?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)")
_PAYLOAD = re.compile(r"(?:text/plain|application/(?:fhir\+)?json)(?: *; *charset=utf-8)?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")  # a line break would be another header
_UNKNOWN = frozenset((550, 551, 553))  # of RCPT: the mailbox, unless an enhanced code tells something else
_ENHANCED = re.compile(rb"\s*([245]\.\d{1,3}\.\d{1,3})\b")
_NO_MAILBOX = ("5.1.", "5.2.1")


class Email:
    """Sends by SMTP, a connection for each mail.

    :param now: callable giving the time, for ``Date``
    :raises ValueError: the settings contradict each other; names one
    """

    own_content = True  # a header is the subject, not a header of HTTP, and a payload may be text/plain
    documentation = ("a mail to the one address of endpoint (mailto:); header is the subject; the body has the version "
                     "only with the payload text/plain or application/fhir+json")

    def __init__(self, config, now=lambda: datetime.now(timezone.utc)):
        _check_settings(config)
        self._trust = ssl.create_default_context()
        if config.extra_ca_file:
            self._trust.load_verify_locations(config.extra_ca_file)
        self._config, self._now, self._allowance = config, now, Allowance(config.email_per_hour, HOUR_S)
        self._domains = frozenset((config.email_domains or config.smtp_sender.rpartition("@")[2]).lower().split())

    def check(self, channel, config):
        """Refuse an endpoint that is no single address in EMAIL_DOMAINS, and a payload or header that no mail can have.

        :raises Unprocessable: one issue for each element that is wrong
        """
        faults = {"endpoint": self._endpoint_fault(channel.get("endpoint", "")), "payload": _payload_fault(channel),
                  "header": _header_fault(channel)}
        issues = [Issue(f"Subscription.channel.{name}: {fault}", expression=f"Subscription.channel.{name}")
                  for name, fault in faults.items() if fault]
        if issues:
            raise Unprocessable(issues=issues)

    def send(self, notification):
        """Hand the mail to the mail server; returns when that has taken it on.

        :raises TryLater: it has not
        :raises GiveUp: it knows no such mailbox
        """
        endpoint = notification.channel["endpoint"]
        if fault := self._endpoint_fault(endpoint):  # the settings have changed since it was accepted
            raise TryLater(reason=fault, error="forbidden")
        if wait_s := self._allowance.take(notification.subscription_key):
            raise TryLater(wait_s, f"this server sends {self._config.email_per_hour} mails an hour for one "
                           "subscription; the others wait", attempted=False)
        sender, recipient = self._config.smtp_sender, endpoint.partition(":")[2]
        mail = compose(notification, sender=sender, recipient=recipient, now=self._now())
        try:
            with closing(self._connected()) as server:
                server.send_message(mail, sender, [recipient])
                _leave(server)
        except (smtplib.SMTPException, OSError) as error:
            raise _judge(error, recipient) from None

    def _connected(self):
        config = self._config
        options = {"host": config.smtp_host, "port": config.smtp_port, "timeout": config.attempt_timeout_s}
        if config.smtp_tls == "tls":
            server = smtplib.SMTP_SSL(**options, context=self._trust)
        else:
            server = smtplib.SMTP(**options)
        try:
            if config.smtp_tls == "starttls":
                server.starttls(context=self._trust)
            if config.smtp_user:
                server.login(config.smtp_user, config.smtp_password)
        except BaseException:
            server.close()
            raise
        return server

    def _endpoint_fault(self, endpoint):
        scheme, _, address = endpoint.partition(":")
        match = _ADDRESS.fullmatch(address)
        if scheme.lower() != "mailto" or not match:
            return f"email needs mailto: and one address, without ?subject, cc or body; got {endpoint!r}"
        if "*" not in self._domains and match["domain"].lower() not in self._domains:
            return f"this server sends mail to {', '.join(sorted(self._domains))} only; got {match['domain']!r}"
        return None


def _check_settings(config):
    if not _ADDRESS.fullmatch(config.smtp_sender):
        raise ValueError("FHIRSUB_SMTP_SENDER: expected an address such as fhir@example.org, as SMTP_HOST is set; "
                         f"got {config.smtp_sender!r}")
    if config.smtp_user and config.smtp_tls == "none":
        raise ValueError("FHIRSUB_SMTP_USER: a password is sent over TLS only; set SMTP_TLS to starttls or tls")
    if config.email_per_hour < 1:
        raise ValueError(f"FHIRSUB_EMAIL_PER_HOUR: expected 1 or more; got {config.email_per_hour}")


def _payload_fault(channel):
    payload = channel.get("payload")
    if payload is None or _PAYLOAD.fullmatch(payload):
        return None
    return ("email sends text/plain or application/fhir+json, or nothing of the resource when it is absent; "
            f"got {payload!r}")


def _header_fault(channel):
    if any(_CONTROL.search(line) for line in channel.get("header", ())):
        return "a line break or control character; for email it is the text of the subject"
    if len(subject(channel)) > MAX_SUBJECT:
        return f"for email it is the subject, of at most {MAX_SUBJECT} characters; got {len(subject(channel))}"
    return None


def _leave(server):
    """Say goodbye; what happens now does not change what became of the mail."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        pass


def _judge(error, recipient):
    """The exception that says what to do; it tells a reply's code, never its text, which may tell of inner hosts."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = error.recipients[recipient]
        if _is_unknown(code, text):
            return GiveUp(f"the mail server answered {code}: there is no such mailbox", status=code, error="status")
        return _refused(code)
    if isinstance(error, smtplib.SMTPResponseException):
        return _refused(error.smtp_code)
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):  # smtplib wraps some
        return TryLater(reason="the mail server did not answer in time", throttled=True, error="timeout")
    if isinstance(error, ssl.SSLError):
        return TryLater(reason="no trusted TLS connection to the mail server: check its certificate", error="tls")
    return TryLater(reason="the mail server could not be reached, or does not offer the TLS or login that is set",
                    error="unreachable")


def _refused(code):
    why = "refused the mail; it is tried again" if code >= 500 else "asks to try again later"
    return TryLater(reason=f"the mail server answered {code}: it {why}", throttled=code == 421, status=code,
                    error="status")


def _is_unknown(code, text):
    """Whether a refused recipient will never be known; 550 is also said to senders that a policy refuses."""
    enhanced = _ENHANCED.match(text)
    return enhanced[1].decode().startswith(_NO_MAILBOX) if enhanced else code in _UNKNOWN
