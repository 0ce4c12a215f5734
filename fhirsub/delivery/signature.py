"""Signatures by which a receiver knows that a notification is this server's: Standard Webhooks, symmetric.

The owner of the Subscription gives the secret in an extension of the channel. While it is being replaced, notifications
are signed with the old one too.

Spec: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""
from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from ..errors import Unprocessable
from ..fhir.extensions import SIGNATURE

PREFIX = "whsec_"
MASK = "whsec_***"
SHORTEST_BYTES, LONGEST_BYTES = 24, 64
_EXPRESSION = "Subscription.channel.extension"


def given(channel):
    """The channel's extensions that bring a secret: one, if any."""
    return [extension for extension in channel.get("extension", ()) if extension.get("url") == SIGNATURE]


def asked(channel):
    """The value of the channel's extension: a secret, its mask, or secrets separated by blanks; None without it."""
    return next((extension.get("valueString") for extension in given(channel)), None)


def replaced(channel, value):
    """The channel with ``value`` in place of what its extension holds."""
    return channel | {"extension": [extension | {"valueString": value} if extension in given(channel) else extension
                                    for extension in channel["extension"]]}


def check(channel):
    """Refuse what is no secret; it is not repeated in the text.

    :raises Unprocessable: names the element
    """
    count = len(given(channel))
    if count > 1:
        raise Unprocessable(f"{_EXPRESSION}: {SIGNATURE} is there {count} times; give it once", expression=_EXPRESSION)
    if count and asked(channel) != MASK and not _key(asked(channel)):
        raise Unprocessable(f"{_EXPRESSION}: {SIGNATURE} takes valueString {PREFIX} and {SHORTEST_BYTES} to "
                            f"{LONGEST_BYTES} random bytes in base64, as `openssl rand -base64 32` makes them, or "
                            f"{MASK} to keep what is stored", expression=_EXPRESSION)


def headers(channel, id, timestamp, body):
    """``webhook-signature`` as ``[(name, value)]``; empty when the channel has no secret.

    :param id: the value of ``webhook-id``, without a dot; likewise ``timestamp``
    """
    keys = [key for key in map(_key, (asked(channel) or "").split()) if key]
    content = f"{id}.{timestamp}.".encode() + body
    signatures = [base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode() for key in keys]
    return [("webhook-signature", " ".join(f"v1,{signature}" for signature in signatures))] if signatures else []


def _key(secret):
    """The bytes of a secret; None if it is none."""
    if not isinstance(secret, str) or not secret.startswith(PREFIX):
        return None
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        return None
    return key if SHORTEST_BYTES <= len(key) <= LONGEST_BYTES else None
