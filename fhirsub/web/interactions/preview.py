"""$preview: POST [base]/Subscription/$preview, which of the last writes a Subscription would have been notified of.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import BadRequest
from ...fhir import json
from ...fhir.criteria import Criteria, parse
from ...fhir.search_values import SearchValues
from ...store import changes
from ...store.changes import Change
from .. import paging
from ..bundles import bundle, entry
from ..outcomes import information
from ..request import Request, Response
from ..server import Server
from .create import Create

DEFAULT_WRITES = 100
_PARAMETERS = ("_count", "_format", "_pretty")


def preview(server: Server, request: Request) -> Callable[[Any], Response]:
    """Check the Subscription as a create would; nothing is stored.

    :returns: what answers inside a transaction, with a searchset: the versions that would have been notified, newest
        first, and how many writes were looked at. It is judged as if it had been on all the time
    :raises FHIRSubError: the Subscription would be refused, or a parameter is unknown
    """
    refuse_unknown(request, _PARAMETERS)
    count = _count(server, request)
    subscription = Create(server, request).resource
    criteria = parse(subscription["criteria"], request.base_url)
    return lambda tx: _answer(changes.newest(tx, count), criteria, server, request)


def refuse_unknown(request: Request, known: tuple[str, ...]) -> None:
    """An operation ignores no parameter: the answer would be to another question.

    :raises BadRequest: names the parameter and those that there are
    """
    for name, _ in request.query:
        if name not in known:
            raise BadRequest(f"{name}: {request.path} takes {', '.join(known)}", code="not-supported")


def _count(server: Server, request: Request) -> int:
    """How many writes to look at: ``_count``, up to MAX_PAGE."""
    if request.parameter("_count") is None:
        return min(DEFAULT_WRITES, server.config.max_page)
    return paging.count(request, server.config)


def _answer(writes: list[Change], criteria: Criteria, server: Server, request: Request) -> Response:
    found = [write for write in writes if _matches(criteria, write, server)]
    told = (f"{len(found)} of the last {len(writes)} writes would have been notified, had the Subscription been on; "
            "nothing was stored")
    entries = [_entry(write, request.base_url) for write in found]
    entries.append(entry(resource=information(told), search={"mode": "outcome"}))
    links = paging.links(request, request.path, None)
    return Response(200, bundle("searchset", entries, total=len(found), links=links))


def _matches(criteria: Criteria, write: Change, server: Server) -> bool:
    """As the matcher judges it; a delete notifies nobody."""
    if write.resource is None or write.type != criteria.type:
        return False
    return criteria.test(SearchValues(write.resource, write.base_url or server.config.base_url))


def _entry(write: Change, base_url: str) -> bytes:
    return entry(f"{base_url}/{write.type}/{write.id}", json.encode(write.resource), search={"mode": "match"})
