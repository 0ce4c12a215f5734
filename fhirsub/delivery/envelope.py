"""What stands on the outside of every notification by HTTP: the headers that say which event it tells of.

Spec: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
from __future__ import annotations

from urllib.parse import quote

from .. import __version__
from . import signature
from .headers import fault, split

_EVENTS = ("read", "raise", "periodic")  # interactions that no transition stands for


def envelope(notification, body, now):
    """The headers of one attempt as ``[(name, value), …]``: the channel's own, then ours.

    :param body: bytes exactly as they are sent; they are signed if the channel asks for it
    :param now: aware UTC datetime
    """
    timestamp = str(int(now.timestamp()))
    headers = _given(notification.channel.get("header", ()))
    headers += [("User-Agent", f"fhirsub/{__version__}"), ("webhook-id", notification.id),
                ("webhook-timestamp", timestamp)]
    headers += signature.headers(notification.channel, notification.id, timestamp, body)
    headers += [("X-FHIR-Subscription", notification.subscription["id"]),
                ("X-FHIR-Event-Number", str(notification.event_number))]
    return headers + _told(notification)


def path(notification):
    """``Type/id`` of the resource, safe in a URL: a host application's ids may be any text."""
    return f"{quote(notification.type, safe='')}/{quote(notification.resource_id, safe='')}"


def _told(notification):
    version = f"{path(notification)}/_history/{quote(notification.version_id, safe='')}"
    told = [("X-FHIR-Resource", version), ("X-FHIR-Interaction", notification.interaction),
            ("X-FHIR-Hops", str(notification.hops))]
    event = notification.transition or (notification.interaction if notification.interaction in _EVENTS else None)
    if event:
        told.append(("X-FHIR-Event", event))
    if notification.topics:
        told.append(("X-FHIR-Topic", ", ".join(notification.topics)))
    return told


def _given(lines):
    """The channel's own headers, without those that the transfer itself sets.

    Bad ones were refused when the Subscription was written; an older row may still hold one.
    """
    return [split(line) for line in lines if fault(line) is None]
