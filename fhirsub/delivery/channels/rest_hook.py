"""The channel rest-hook: a POST to the endpoint for each event, empty or with the resource.

R4 has a payload sent as an update of the resource, PUT {endpoint}/{Type}/{id}; the connectathons and most receivers
expect a POST to the endpoint. POST is the default here; PAYLOAD_MODE or an extension of the channel chooses the other.

Spec: https://hl7.org/fhir/R4/subscription.html#rest-hook
"""
from __future__ import annotations

from concurrent.futures import Future
from datetime import datetime, timezone

from ... import __version__
from ...errors import Unprocessable
from ...fhir.extensions import PAYLOAD_MODE
from ..addresses import check_endpoint
from ..egress import Request
from ..headers import fault, split
from ..retry import retry_after_s
from . import GiveUp, TryLater

PAYLOAD_MODES = ("post", "update")
THROTTLED = frozenset((429, 502, 503, 504))
_WHY = {
    "timeout": "the endpoint did not answer in time",
    "tls": "no trusted TLS connection to the endpoint: check its certificate (issuer, host name, dates)",
    "unreachable": "the endpoint could not be reached: check its host and port, and whether this server may send there",
    "broken": "the endpoint broke off before it had answered",
}


class RestHook:
    """Sends through ``egress``; what it returns is accepted with any status 200-299.

    :param now: callable giving the time, for ``webhook-timestamp`` and a date in Retry-After
    """

    blocking = False
    documentation = ("an empty POST to the endpoint; with the payload application/fhir+json a POST of the version, "
                     "or a PUT to endpoint/Type/id")

    def __init__(self, egress, config, now=lambda: datetime.now(timezone.utc)):
        self._egress, self._payload_mode, self._now = egress, config.payload_mode, now

    def check(self, channel, config):
        """Refuse a channel without an endpoint that this server may send to, or with an unknown payload mode.

        :raises Unprocessable: names the element
        """
        if "endpoint" not in channel:
            raise Unprocessable("Subscription.channel.endpoint: rest-hook needs the URL that is notified",
                                expression="Subscription.channel.endpoint", code="required")
        check_endpoint(channel["endpoint"], config)
        mode = _payload_mode(channel, "post")
        if mode not in PAYLOAD_MODES:
            raise Unprocessable(f"Subscription.channel.extension: {PAYLOAD_MODE} takes valueCode post or update; "
                                f"got {mode!r}", expression="Subscription.channel.extension")

    def send(self, notification):
        """POST or PUT it in the background.

        :returns: a Future that resolves to None, or raises TryLater or GiveUp
        """
        sent = Future()
        self._egress.submit(self._request(notification)).add_done_callback(lambda answered: self._settle(sent, answered))
        return sent

    def _request(self, notification):
        channel, headers = notification.channel, _given(notification.channel.get("header", ()))
        headers += [("User-Agent", f"fhirsub/{__version__}"), ("webhook-id", notification.id),
                    ("webhook-timestamp", str(int(self._now().timestamp()))),
                    ("X-FHIR-Subscription", notification.subscription["id"]),
                    ("X-FHIR-Event-Number", str(notification.event_number))]
        if notification.content is None:
            return Request("POST", channel["endpoint"], headers)
        headers.append(("Content-Type", _content_type(channel["payload"])))
        body = notification.content.encode()
        if _payload_mode(channel, self._payload_mode) == "update":
            return Request("PUT", _below(channel["endpoint"], notification), headers, body)
        return Request("POST", channel["endpoint"], headers, body)

    def _settle(self, sent, answered):
        try:
            _judge(answered.result(), self._now())
        except BaseException as error:  # also a cancelled one: whoever waits for `sent` must hear of it
            sent.set_exception(error)
        else:
            sent.set_result(None)


def _judge(answer, now):
    """Nothing for 2xx, else the exception that says what to do."""
    status = answer.status
    if status is None:
        raise TryLater(None, _WHY[answer.error], throttled=answer.error == "timeout")
    if 200 <= status <= 299:
        return
    if status == 410:
        raise GiveUp("the endpoint answered 410 Gone")
    why = f"the endpoint answered {status}"
    if 300 <= status <= 399:
        why += "; redirects are not followed: give the final address as endpoint"
    raise TryLater(retry_after_s(answer.retry_after, now), why, throttled=status in THROTTLED)


def _given(lines):
    """The channel's own headers as ``(name, value)``, without those that the transfer itself sets.

    Bad ones were refused when the Subscription was written; an older row may still hold one.
    """
    return [split(line) for line in lines if fault(line) is None]


def _content_type(payload):
    return payload if "charset" in payload.lower() else f"{payload}; charset=utf-8"


def _payload_mode(channel, default):
    chosen = [extension.get("valueCode") for extension in channel.get("extension", ())
              if extension.get("url") == PAYLOAD_MODE]
    return chosen[0] if chosen else default


def _below(endpoint, notification):
    """``{endpoint}/{Type}/{id}``, before the query if the endpoint has one."""
    path, mark, query = endpoint.partition("?")
    return f"{path.rstrip('/')}/{notification.type}/{notification.resource_id}{mark}{query}"
