"""The channel message: each event is a FHIR message that the endpoint's ``$process-message`` is sent.

Spec: https://hl7.org/fhir/R4/messaging.html, https://hl7.org/fhir/R4/messageheader.html,
https://hl7.org/fhir/R4/messageheader-operation-process-message.html
"""
from __future__ import annotations

import uuid
from datetime import datetime, timezone

from ... import __version__
from ...errors import Unprocessable
from ...fhir import json
from ...fhir.instants import instant_text
from .. import signature
from ..addresses import check_endpoint
from ..egress import Request
from ..envelope import envelope, path
from ..resolving import Resolver
from . import rendering
from .exchange import exchange

EVENTS = "http://fhirsub.org/CodeSystem/notification-event"
OPERATION = "$process-message"


class Message:
    """Posts a Bundle of type message; any status 200-299 accepts it, as for rest-hook.

    :param now: callable giving the time, for ``Bundle.timestamp``
    """

    blocking, signs = False, True
    documentation = ("a message Bundle is posted to $process-message; endpoint is the receiver's FHIR base or the "
                     "operation itself; with the payload application/fhir+json the version is in the Bundle")

    def __init__(self, egress, config, now=lambda: datetime.now(timezone.utc)):
        self._egress, self._now, self._resolve = egress, now, Resolver(now)
        served_at = f"http://{config.host or 'localhost'}:{config.port}{config.base_path}"
        self._base_url = config.base_url.rstrip("/") or served_at

    def check(self, channel, config):
        """Refuse a channel without an endpoint that this server may send to.

        :raises Unprocessable: names the element
        """
        if "endpoint" not in channel:
            raise Unprocessable("Subscription.channel.endpoint: message needs the URL of a FHIR base, or of its "
                                f"operation {OPERATION}", expression="Subscription.channel.endpoint", code="required")
        check_endpoint(channel["endpoint"], config, self._resolve)
        signature.check(channel)

    def send(self, notification):
        """POST the message in the background.

        :returns: a Future that resolves to the Answer, or raises TryLater or GiveUp
        :raises SetAside: no message can be made of the event
        """
        return exchange(self._egress, self._request(notification), self._now)

    def _request(self, notification):
        with rendering():
            body = json.encode(bundle(notification, self._base_url, now=self._now()))
        headers = envelope(notification, body, self._now())
        headers.append(("Content-Type", "application/fhir+json; charset=utf-8"))
        return Request("POST", operation(notification.channel["endpoint"]), headers, body)


def operation(endpoint):
    """The URL of ``$process-message`` at a base; an endpoint that names the operation stays as it is."""
    before, mark, query = endpoint.partition("?")
    if not before.endswith(f"/{OPERATION}"):
        before = f"{before.rstrip('/')}/{OPERATION}"
    return before + mark + query


def bundle(notification, base_url, *, now):
    """The message: its header first, then the version if the Subscription asks for it and may still see it.

    The header's id stays the same over all attempts, and the Bundle's changes, so that the receiver knows a repetition.

    :param base_url: of this server, without a slash at the end
    """
    about = f"{base_url}/{path(notification)}"
    header_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{base_url}/{notification.id}"))
    entries = [{"fullUrl": f"urn:uuid:{header_id}",
                "resource": _header(notification, base_url, about) | {"id": header_id}}]
    if notification.content is not None and not notification.gone:
        entries.append({"fullUrl": about, "resource": notification.resource})
    return {"resourceType": "Bundle", "id": str(uuid.uuid4()), "type": "message", "timestamp": instant_text(now),
            "entry": entries}


def _header(notification, base_url, about):
    return {
        "resourceType": "MessageHeader",
        "eventCoding": {"system": EVENTS, "code": notification.transition or notification.interaction},
        "destination": [{"endpoint": notification.channel["endpoint"].partition("?")[0]}],
        "source": {"software": "fhirsub", "version": __version__, "endpoint": base_url},
        "focus": [{"reference": reference} for reference in (about, *notification.context)]}
