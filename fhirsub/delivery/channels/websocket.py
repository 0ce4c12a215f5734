"""The channel websocket: a client says ``bind ID``, the server ``bound ID``, then ``ping ID`` for each event.

Spec: https://hl7.org/fhir/R4/subscription.html#websocket
"""
from __future__ import annotations

import re

# A client that missed the spelling tries ":ID" (the R4 text shows one) or the reference "Subscription/ID".
_BIND = re.compile(r"\s*bind\s+:?(?:Subscription/)?([A-Za-z0-9.-]{1,64})\s*")

UNKNOWN_COMMAND = "error: expected 'bind ID' with the id of an active websocket Subscription"


class WebSocket:
    """What a Subscription with ``channel.type`` websocket is checked against: nothing beyond R4 itself.

    No dispatcher sends for it: each socket reads the event log for itself (:mod:`fhirsub.delivery.tail`). A payload is
    accepted, as many clients write one, but R4 sends none: the client reads what it was pinged for.
    """

    documentation = "`bind ID` is answered `bound ID`, then comes a `ping ID` for each event; no payload"


def subscription_id(message):
    """The ID that a client asks to be bound to, None if the message is no ``bind ID``."""
    command = _BIND.fullmatch(message)
    return command and command[1]


def bound(subscription_id):
    """The answer to a bind; every later event is pinged."""
    return f"bound {subscription_id}"


def ping(subscription_id):
    """One event came, or several while the client was away."""
    return f"ping {subscription_id}"


def refusal(subscription_id):
    """The one answer to every bind that cannot be: it does not tell whether the Subscription exists."""
    return f"error bind {subscription_id}: no such active websocket subscription"


def crowded(subscription_id, limit):
    """The answer to one bind more than a socket may have, whether or not the Subscription exists."""
    return f"error bind {subscription_id}: at most {limit} subscriptions on one socket"


def ended(subscription_id):
    """What a client hears whose Subscription was switched off, deleted, or is past its end."""
    return f"error {subscription_id}: this subscription is off"
