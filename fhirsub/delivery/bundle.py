"""A history Bundle with the one version that a notification is about, but not what it says.

Spec: https://hl7.org/fhir/R4/http.html#history
"""
from __future__ import annotations

from ..fhir import json
from ..fhir.instants import instant_text
from .envelope import path

_METHODS = {"create": ("POST", "201"), "update": ("PUT", "200"), "delete": ("DELETE", "204")}


def history(notification, base_url=""):
    """The JSON as bytes: the entry has ``request`` and ``response``, and no ``resource``.

    :param base_url: of this server, for ``fullUrl``; empty: it is left out
    """
    method, status = _METHODS[notification.interaction]
    response = {"status": status, "etag": f'W/"{notification.version_id}"'}
    if notification.recorded_at:
        response["lastModified"] = instant_text(notification.recorded_at)
    entry = {"request": {"method": method, "url": path(notification)}, "response": response}
    if base_url:
        entry = {"fullUrl": f"{base_url.rstrip('/')}/{path(notification)}"} | entry
    return json.encode({"resourceType": "Bundle", "type": "history", "entry": [entry]})
