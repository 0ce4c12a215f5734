"""The lines of ``Subscription.channel.header`` that go to an endpoint, and what may stand in one.

Spec: https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.channel.header,
https://www.rfc-editor.org/rfc/rfc9110#name-fields
"""
from __future__ import annotations

import re

MAX_BYTES = 4096  # servers commonly refuse a longer line

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")  # a line break in a value would be another header
_OURS = re.compile(r"host|content-.*|transfer-encoding|connection|keep-alive|te|trailer|upgrade|expect|accept-encoding"
                   r"|proxy-.*|user-agent|webhook-.*|x-fhir-.*", re.IGNORECASE)


def split(line):
    """``"Name: value"`` as ``(name, value)``, cut at the first colon; the value is "" when there is none."""
    name, _, value = line.partition(":")
    return name.strip(), value.strip()


def fault(line):
    """Why a line cannot be sent, and what would do; None if it can."""
    name, colon, _ = line.partition(":")
    if not colon or not _NAME.fullmatch(name):
        return "expected 'Name: value' with a name of letters, digits and hyphens"
    if _OURS.fullmatch(name):
        return f"{name} is set by the server itself; leave it out"
    if _CONTROL.search(line):
        return f"a line break or control character in the value of {name}; send one line"
    if len(line.encode()) > MAX_BYTES:
        return f"at most {MAX_BYTES} bytes; got {len(line.encode())}"
    return None
