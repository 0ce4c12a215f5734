"""What a client may write as a Subscription: checked in full before it is stored, and stored as the server means it.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

import re

from ..delivery.headers import fault
from ..errors import FHIRSubError, Issue, Unprocessable
from ..fhir.criteria import parse
from ..fhir.extensions import TOPICS
from ..fhir.instants import parse_instant

PAYLOADS = ("application/fhir+json", "application/json")
# It becomes the Content-Type: a line break in it would be another header.
_PAYLOAD = re.compile(r"application/(fhir\+)?json( *; *[a-zA-Z-]+=[a-zA-Z0-9._-]+)*", re.IGNORECASE)
MAX_HEADERS = 20


class SubscriptionDoor:
    """The door of the resource type Subscription.

    :param channels: ``{type: channel}``; a channel may have ``check(channel_element, config)``
    :param vault: :class:`~fhirsub.subscriptions.secrets.Vault`
    """

    def __init__(self, channels, vault):
        self.channels, self.vault = channels, vault

    def fill(self, resource):
        """What is validated in place of ``resource``: a missing status means requested, a missing reason is accepted.

        The 2019 connectathon's own example has neither. A channel of the host application's may have a type of its own.
        """
        filled = {"status": "requested", "reason": "none given"} | resource
        channel = filled.get("channel")
        if isinstance(channel, dict) and channel.get("type") in self.channels:
            filled["channel"] = channel | {"type": "rest-hook"}
        return filled

    def check(self, resource, *, config, base_url=""):
        """Refuse what could never notify; every problem is named at once.

        :param base_url: of this server as the client sees it; criteria may begin with it
        :raises Unprocessable: one issue for each element that is wrong
        """
        channel, issues = resource["channel"], []
        for look, *at in ((_filters, resource), (_status, resource), (_criteria, resource, base_url),
                          (self._channel, channel, config), (_payload, channel), (_headers, channel)):
            try:
                look(*at)
            except FHIRSubError as error:
                issues += error.issues
        if issues:
            raise Unprocessable(issues=issues)

    def admit(self, tx, resource, current, *, now, config):
        """The Subscription as it is stored: the server's status, no error text, secret headers masked.

        :param current: the version before, or None
        """
        stored = {name: value for name, value in resource.items() if name != "error"}
        ended = "end" in resource and parse_instant(resource["end"]) <= now
        stored["status"] = "off" if ended or resource.get("status") == "off" else "active"
        if "header" in resource["channel"]:
            shown = self.vault.hide(tx, resource["id"], resource["channel"]["header"])
            stored["channel"] = resource["channel"] | {"header": shown}
        else:
            self.vault.forget(tx, resource["id"])
        return stored

    def removed(self, tx, id, *, now):
        """Forget the secrets of a deleted Subscription."""
        self.vault.forget(tx, id)

    def _channel(self, channel, config):
        kind = channel["type"]
        if kind not in self.channels:
            raise Unprocessable(f"Subscription.channel.type: this server delivers to {', '.join(self.channels)}; "
                                f"got {kind!r}", expression="Subscription.channel.type", code="not-supported")
        check = getattr(self.channels[kind], "check", None)
        if check:
            check(channel, config)


def _filters(resource):
    """Whatever would narrow the notifications and is not evaluated: ignoring it would send too much."""
    told = "this server does not evaluate it, and will not send more than was asked for; leave it out"
    if any(extension.get("url") == TOPICS for extension in resource.get("extension", ())):
        raise Unprocessable(f"Subscription.extension: {TOPICS}: {told}", expression="Subscription.extension",
                            code="not-supported")
    for where, element in (("Subscription", resource), ("Subscription.channel", resource["channel"])):
        if "modifierExtension" in element:
            raise Unprocessable(f"{where}.modifierExtension: {told}", expression=f"{where}.modifierExtension",
                                code="not-supported")
    if "_criteria" in resource:
        raise Unprocessable(f"Subscription.criteria.extension: {told}", expression="Subscription.criteria",
                            code="not-supported")


def _status(resource):
    status = resource.get("status", "requested")
    if status == "error":
        raise Unprocessable("Subscription.status: only the server sets error; send requested to try again, or off",
                            expression="Subscription.status")


def _criteria(resource, base_url):
    try:
        parse(resource["criteria"], base_url)
    except FHIRSubError as error:
        raise Unprocessable(f"Subscription.criteria: {error}", expression="Subscription.criteria",
                            code=error.issues[0].code) from None


def _payload(channel):
    payload = channel.get("payload")
    if payload is not None and not _PAYLOAD.fullmatch(payload):
        raise Unprocessable(f"Subscription.channel.payload: this server sends {' or '.join(PAYLOADS)}, or nothing "
                            f"when it is absent; got {payload!r}", expression="Subscription.channel.payload",
                            code="not-supported")


def _headers(channel):
    headers = channel.get("header", [])
    if len(headers) > MAX_HEADERS:
        raise Unprocessable(f"Subscription.channel.header: at most {MAX_HEADERS} headers; got {len(headers)}",
                            expression="Subscription.channel.header")
    faults = {f"Subscription.channel.header[{position}]": fault(line) for position, line in enumerate(headers)}
    issues = [Issue(f"{where}: {wrong}", expression=where) for where, wrong in faults.items() if wrong]
    if issues:
        raise Unprocessable(issues=issues)
