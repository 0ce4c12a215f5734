"""The channel rest-hook: a POST to the endpoint for each event, empty or with the resource.

R4 has a payload sent as an update of the resource, PUT {endpoint}/{Type}/{id}; the connectathons and most receivers
expect a POST to the endpoint. POST is the default here; PAYLOAD_MODE or an extension of the channel chooses the other.

Spec: https://hl7.org/fhir/R4/subscription.html#rest-hook
"""
from __future__ import annotations

from datetime import datetime, timezone

from ...errors import Unprocessable
from ...fhir.extensions import PAYLOAD_MODE
from .. import signature
from ..addresses import check_endpoint
from ..bundle import history
from ..egress import Request
from ..envelope import envelope, path
from ..resolving import Resolver
from . import rendering
from .exchange import exchange

PAYLOAD_MODES = ("post", "update")


class RestHook:
    """Sends through ``egress``; what it returns is accepted with any status 200-299.

    :param now: callable giving the time, for ``webhook-timestamp`` and a date in Retry-After
    """

    blocking, signs = False, True
    documentation = ("an empty POST to the endpoint; with the payload application/fhir+json a POST of the version, "
                     "or a PUT to endpoint/Type/id")

    def __init__(self, egress, config, now=lambda: datetime.now(timezone.utc)):
        self._egress, self._now, self._resolve = egress, now, Resolver(now)
        self._payload_mode, self._base_url = config.payload_mode, config.base_url

    def check(self, channel, config):
        """Refuse a channel without an endpoint that this server may send to, or with an unknown payload mode.

        :raises Unprocessable: names the element
        """
        if "endpoint" not in channel:
            raise Unprocessable("Subscription.channel.endpoint: rest-hook needs the URL that is notified",
                                expression="Subscription.channel.endpoint", code="required")
        check_endpoint(channel["endpoint"], config, self._resolve)
        mode = _payload_mode(channel, "post")
        if mode not in PAYLOAD_MODES:
            raise Unprocessable(f"Subscription.channel.extension: {PAYLOAD_MODE} takes valueCode post or update; "
                                f"got {mode!r}", expression="Subscription.channel.extension")
        signature.check(channel)

    def send(self, notification):
        """POST, PUT or DELETE it in the background.

        :returns: a Future that resolves to the Answer, or raises TryLater or GiveUp
        :raises SetAside: no request can be made of the event
        """
        return exchange(self._egress, self._request(notification), self._now)

    def _request(self, notification):
        with rendering():
            method, url, body = self._rendered(notification)
        headers = envelope(notification, body, self._now())
        if body:
            headers.append(("Content-Type", _content_type(notification.channel["payload"])))
        return Request(method, url, headers, body)

    def _rendered(self, notification):
        channel = notification.channel
        method, url, body = "POST", channel["endpoint"], b""
        update = _payload_mode(channel, self._payload_mode) == "update"
        if "payload" in channel and notification.gone:
            if update and notification.interaction == "delete":
                method, url = "DELETE", _below(url, notification)
            else:
                body = history(notification, self._base_url)
        elif notification.content is not None:
            body = notification.content.encode()
            if update:
                method, url = "PUT", _below(url, notification)
        return method, url, body


def _content_type(payload):
    return payload if "charset" in payload.lower() else f"{payload}; charset=utf-8"


def _payload_mode(channel, default):
    chosen = [extension.get("valueCode") for extension in channel.get("extension", ())
              if extension.get("url") == PAYLOAD_MODE]
    return chosen[0] if chosen else default


def _below(endpoint, notification):
    """``{endpoint}/{Type}/{id}``, before the query if the endpoint has one."""
    before, mark, query = endpoint.partition("?")
    return f"{before.rstrip('/')}/{path(notification)}{mark}{query}"
