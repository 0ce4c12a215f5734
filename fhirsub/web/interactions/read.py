"""read and vread: GET [base]/[type]/[id] and GET [base]/[type]/[id]/_history/[vid], also conditional.

Where an EventDefinition has a trigger data-accessed, each of them that sends the resource is a change as well.

Spec: https://hl7.org/fhir/R4/http.html#read, https://hl7.org/fhir/R4/http.html#vread
"""
from __future__ import annotations

from functools import partial
from typing import Any

from ...errors import Gone, NotFound
from ...store import raised, versions
from ...store.versions import Version
from .. import subset
from ..preconditions import unchanged
from ..request import Request, Response, answer
from ..server import Server

MAX_VERSION = 2 ** 31 - 1   # of the column


def read(tx: Any, server: Server, request: Request) -> Response:
    """The current version.

    :raises NotFound: there never was one
    :raises Gone: it was deleted
    """
    version = versions.current(tx, request.type, request.id)
    if version is None:
        raise NotFound(f"there is no {request.type}/{request.id}")
    return _sent(tx, version, server, request)


def vread(tx: Any, server: Server, request: Request) -> Response:
    """One version, current or not.

    :raises NotFound: there never was one
    :raises Gone: it is the version that deleted the resource
    """
    number = request.version_id
    known = number.isascii() and number.isdigit() and int(number) <= MAX_VERSION
    version = versions.vread(tx, request.type, request.id, int(number)) if known else None
    if version is None:
        raise NotFound(f"there is no version {number!r} of {request.type}/{request.id}")
    return _sent(tx, version, server, request)


def _sent(tx: Any, version: Version, server: Server, request: Request) -> Response:
    if version.deleted:
        raise Gone(f"{version.type}/{version.id} was deleted as version {version.version_id}; "
                   f"its history is at {version.type}/{version.id}/_history")
    response = answer(version, request.base_url)
    if unchanged(request, version):
        response.status, response.body = 304, b""
    else:
        response.body = subset.of(request)(version)
        if request.method == "GET" and raised.is_read_for(tx, version.type):
            response.record = partial(raised.record, type=version.type, id=version.id, interaction="read",
                                      now=server.now(), version_id=version.version_id)
    return response
