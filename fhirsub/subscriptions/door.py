"""What a client may write as a Subscription: checked in full before it is stored, and stored as the server means it.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

import re
from contextlib import contextmanager
from functools import cache, partial

from ..delivery import ordering, signature
from ..delivery.addresses import check_elsewhere, same_receiver
from ..delivery.headers import fault, split
from ..errors import FHIRSubError, Issue, Unprocessable
from ..fhir import extension_places
from ..fhir.extensions import SIGNATURE
from ..fhir.instants import parse_instant
from ..fhir.topics import asking
from ..fhir.topics.filing import SETS
from ..store import versions
from ..store.terminology import Expansions
from . import stored_topics
from .kept_secrets import KeptSecrets
from .secrets import MASK

PAYLOADS = ("application/fhir+json", "application/json")
# It becomes the Content-Type: a line break in it would be another header.
_PAYLOAD = re.compile(r"application/(fhir\+)?json( *; *[a-zA-Z-]+=[a-zA-Z0-9._-]+)*", re.IGNORECASE)
MAX_HEADERS = 20


class SubscriptionDoor:
    """The door of the resource type Subscription.

    :param channels: ``{type: channel}``; a channel may have ``check(channel_element, config)``
    :param vault: :class:`~fhirsub.subscriptions.secrets.Vault`
    """

    rank = 4    # in a transaction after the EventDefinitions, Groups and value sets that it names

    def __init__(self, channels, vault):
        self.channels, self.vault = channels, vault

    def fill(self, resource):
        """What is validated in place of ``resource``: a missing status means requested, a missing reason is accepted.

        The 2019 connectathon's own example has neither. A channel of the host application's may have a type of its own.
        """
        filled = {"status": "requested", "reason": "none given"} | resource
        channel = filled.get("channel")
        if isinstance(channel, dict) and channel.get("type") in tuple(self.channels):    # it may be a list yet
            filled["channel"] = channel | {"type": "rest-hook"}
        return filled

    def check(self, resource, *, config, base_url=""):
        """Refuse what could never notify; every problem is named at once.

        :param base_url: of this server as the client sees it; criteria may begin with it
        :raises Unprocessable: one issue for each element that is wrong
        """
        channel, issues = resource["channel"], []
        looks = [(_filters, resource), (extension_places.check, resource), (_status, resource),
                 (asking.asked, resource, base_url), (self._channel, channel, config),
                 (check_elsewhere, channel.get("endpoint"), base_url)]
        if not self._judges_content(channel):
            looks += [(_payload, channel), (_headers, channel)]
        for look, *at in looks:
            try:
                look(*at)
            except FHIRSubError as error:
                issues += error.issues
        if issues:
            raise Unprocessable(issues=issues)

    @contextmanager
    def admitting(self, tx, ids, *, now, config, base_url=""):
        """``admit(resource, current)``: the Subscription as it is stored, with the server's status, no error text, and
        secrets masked.

        ``admit`` raises Unprocessable if it names events, Groups or Lists that are not here, or codes that this server
        cannot tell. What many of them name is looked up once; their secrets are stored at the end.
        """
        named, secrets = _Named(tx, base_url), KeptSecrets(tx, ids)

        def admit(resource, current):
            if resource is None:
                secrets.of(current["id"]).clear()
                return None
            status = _status_of(resource, now)
            if status == "active":
                named.check(resource)
            stored = {name: value for name, value in resource.items() if name != "error"}
            return stored | {"status": status, "channel": self._masked(resource, current, secrets, now)}
        yield admit
        secrets.save()

    def _masked(self, resource, current, secrets, now):
        channel, before = resource["channel"], current["channel"] if current else {}
        if current:
            _same_receiver(channel, before)
        if not any(name in one for one in (channel, before) for name in ("header", "extension")):
            return channel      # there can be no secrets
        stored = secrets.of(resource["id"])
        headers = [] if self._judges_content(channel) else channel.get("header", [])
        shown = self.vault.hide(stored, headers)
        return self.vault.hide_signature(stored, channel | {"header": shown} if shown else channel, now=now)

    def _judges_content(self, channel):
        """Whether payload and header are the channel's own matter, such as the subject of a mail."""
        return getattr(self.channels.get(channel["type"]), "own_content", False)

    def _channel(self, channel, config):
        kind = channel["type"]
        if kind not in self.channels:
            raise Unprocessable(f"Subscription.channel.type: this server delivers to {', '.join(self.channels)}; "
                                f"got {kind!r}", expression="Subscription.channel.type", code="not-supported")
        if signature.given(channel) and not getattr(self.channels[kind], "signs", False):
            raise Unprocessable(f"Subscription.channel.extension: {kind} signs nothing; leave out {SIGNATURE}",
                                expression="Subscription.channel.extension", code="not-supported")
        ordering.check(channel)
        check = getattr(self.channels[kind], "check", None)
        if check:
            check(channel, config)


def _same_receiver(channel, before):
    """Refuse to send a value that its owner gave for one receiver to another, whoever writes the Subscription."""
    for position, line in enumerate(channel.get("header", ())):
        where = f"Subscription.channel.header[{position}]"
        if split(line)[1] == MASK and not same_receiver(channel.get("endpoint"), before.get("endpoint")):
            raise Unprocessable(f"{where}: {MASK} keeps a value for the host that it was given for, and endpoint is on "
                                "another; give the value", expression=where)


def _filters(resource):
    """Whatever would narrow the notifications and is not evaluated: ignoring it would send too much."""
    told = "this server does not evaluate it, and will not send more than was asked for; leave it out"
    for where, element in (("Subscription", resource), ("Subscription.channel", resource["channel"])):
        if "modifierExtension" in element:
            raise Unprocessable(f"{where}.modifierExtension: {told}", expression=f"{where}.modifierExtension",
                                code="not-supported")
    if "implicitRules" in resource:
        raise Unprocessable(f"Subscription.implicitRules: {told}", expression="Subscription.implicitRules",
                            code="not-supported")
    if "_criteria" in resource:
        raise Unprocessable(f"Subscription.criteria.extension: {told}", expression="Subscription.criteria",
                            code="not-supported")


def _status(resource):
    status = resource.get("status", "requested")
    if status == "error":
        raise Unprocessable("Subscription.status: only the server sets error; send requested to try again, or off",
                            expression="Subscription.status")


def _status_of(resource, now):
    ended = "end" in resource and parse_instant(resource["end"]) <= now
    return "off" if ended or resource.get("status") == "off" else "active"


class _Named:
    """What the Subscriptions of one transaction name: each is looked up once."""

    def __init__(self, tx, base_url):
        self._base_url = base_url
        self._topic, self._codes = stored_topics.finder(tx, base_url), Expansions(tx)
        self._exists = cache(partial(_exists, tx))

    def check(self, resource):
        question = asking.settled(asking.asked(resource, self._base_url), resource, self._topic)
        for reference in question.compartments:
            if reference.startswith(SETS) and not self._exists(reference):
                raise Unprocessable("Subscription.criteria: expected a Group or List of this server, whose members can "
                                    f"be followed; it holds no {reference}", expression="Subscription.criteria",
                                    code="not-found")
        if question.criteria is not None:
            with _refused():
                question.criteria.bind(self._codes)


def _exists(tx, reference):
    found = versions.current(tx, *reference.split("/"))
    return found is not None and not found.deleted


@contextmanager
def _refused():
    """What is wrong with a criteria is told as of that element."""
    try:
        yield
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
