"""history of a resource, a type or the whole server: GET [base]/[type]/[id]/_history and shorter.

Spec: https://hl7.org/fhir/R4/http.html#history
"""
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ...errors import BadRequest, NotFound
from ...fhir.instants import EPOCH, instant_text, parse_instant, span
from ...fhir.values import MAX
from ...store import history as store
from ...store.versions import Version
from .. import paging
from ..bundles import bundle, entry
from ..request import Request, Response, etag, location
from ..server import Server

_PARAMETERS = {"_count", "_since", "_at", "_format", "_pretty", paging.CURSOR}
_STATUSES = {"create": "201 Created", "update": "200 OK", "delete": "204 No Content"}


def history(tx: Any, server: Server, request: Request) -> Response:
    """The versions written, deletes included, newest first.

    :raises NotFound: the resource never existed
    :raises BadRequest: a parameter that cannot be read, or unknown and ``Prefer: handling=strict``
    """
    ignored = [name for name, _ in request.query if name not in _PARAMETERS]
    if ignored and request.preferences.get("handling") == "strict":
        raise BadRequest(f"{ignored[0]}: a history knows {', '.join(sorted(_PARAMETERS))}", code="not-supported")
    count = paging.count(request, server.config)
    versions, total, cursor = store.history(
        tx, request.type or None, request.id or None, since=_since(request), at=_at(request), count=count,
        before=request.parameter(paging.CURSOR))
    if request.id and not total and not store.history(tx, request.type, request.id, count=0)[1]:
        raise NotFound(f"there is no {request.type}/{request.id}")
    links = paging.links(request, request.path, cursor if count else None, ignored)
    entries = [_entry(version, request.base_url) for version in versions]
    return Response(200, bundle("history", entries, total=total, links=links))


def _entry(version: Version, base_url: str) -> bytes:
    path = f"{version.type}/{version.id}"
    response = {"status": _STATUSES[version.interaction], "location": location(version, base_url),
                "etag": etag(version), "lastModified": instant_text(version.last_updated)}
    return entry(f"{base_url}/{path}", (version.content or "").encode(), request=_request(version, path),
                 response=response)


def _request(version: Version, path: str) -> dict[str, str]:
    """What may have been asked: the log does not say whether the first version came by POST or by PUT."""
    if version.version_id == 1:
        return {"method": "POST", "url": version.type}
    return {"method": "DELETE" if version.deleted else "PUT", "url": path}


def _since(request: Request) -> datetime | None:
    text = request.parameter("_since")
    try:
        return parse_instant(text) if text is not None else None
    except ValueError as error:
        raise BadRequest(f"_since: {error}", code="value") from None


def _at(request: Request) -> tuple[datetime, datetime] | None:
    """The span of time that ``_at`` names: the versions that were current at some moment of it."""
    text = request.parameter("_at")
    if text is None:
        return None
    try:
        low, high = span(text)
    except ValueError as error:
        raise BadRequest(f"_at: {error}", code="value") from None
    # A datetime ends one microsecond before the span of year 9999 does.
    return EPOCH + timedelta(microseconds=low), EPOCH + timedelta(microseconds=min(high, MAX - 1))
