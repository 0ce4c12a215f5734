"""If-Match, If-None-Match and If-Modified-Since against the current version.

Spec: https://hl7.org/fhir/R4/http.html#concurrency, https://hl7.org/fhir/R4/http.html#cread
"""
from __future__ import annotations

import re
from datetime import datetime

from werkzeug.http import parse_date

from ..errors import BadRequest, PreconditionFailed
from ..fhir.instants import parse_instant
from ..store.versions import Version
from .request import Request, etag

_TAG = re.compile(r'(?:W/)?"([^"]*)"|([^\s",]+)')


def tags(header: str) -> set[str]:
    """The version ids in ``W/"1", "2"``; compared weakly, and a bare ``1`` is understood too."""
    return {quoted or bare for quoted, bare in _TAG.findall(header)}


def check_match(request: Request, current: Version | None, required: bool = False) -> None:
    """Hold a write to the version that its client has seen.

    :param current: as it is locked; None or deleted if there is none to match
    :param required: whether an existing resource may only be written with If-Match
    :raises PreconditionFailed: it is another version by now, or ``If-None-Match: *`` and there is one
    :raises BadRequest: If-Match is required and missing
    """
    header = request.headers.get("if-match")
    exists = current is not None and not current.deleted
    if header is None:
        if required and exists:
            raise BadRequest(f"If-Match is required here: send the ETag of the version you read, now {etag(current)}",
                             code="required")
    elif not exists or not tags(header) & {str(current.version_id), "*"}:
        now = f"the current version is {etag(current)}" if exists else "there is no current version"
        raise PreconditionFailed(f"If-Match: {header}, but {now}; read it again and repeat the change")
    if exists and request.headers.get("if-none-match", "").strip() == "*":
        raise PreconditionFailed(f"If-None-Match: *, but {request.type}/{current.id} exists as {etag(current)}")


def unchanged(request: Request, version: Version) -> bool:
    """Whether the client already holds ``version``, so that a read may answer 304.

    If-None-Match wins over If-Modified-Since, as in HTTP (RFC 9110, 13.1.3).
    """
    header = request.headers.get("if-none-match")
    if header is not None:
        return bool(tags(header) & {str(version.version_id), "*"})
    header = request.headers.get("if-modified-since")
    since = _time(header) if header else None
    return since is not None and version.last_updated.replace(microsecond=0) <= since


def _time(text: str) -> datetime | None:
    """An HTTP date, or an instant, which a Bundle entry has instead; None (and so no condition) if it is neither."""
    try:
        return parse_date(text) or parse_instant(text)
    except (ValueError, BadRequest):
        return None
