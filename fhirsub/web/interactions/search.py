"""search: GET [base]/[type]?… and POST [base]/[type]/_search.

Spec: https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from typing import Any

from ...errors import BadRequest, UnsupportedCriteria
from ...fhir.definitions.parameters import search_parameters
from ...store import search as store
from .. import paging, subset
from ..bundles import bundle, entry
from ..outcomes import information
from ..request import Request, Response
from ..server import Server
from .conditions import criteria

# What says how to answer, not what to find.
_RESULT = {"_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", paging.CURSOR}
# Filters that R4 defines beside those of the type: never ignored, for the answer would hold too much.
_FILTERS = {"_has", "_list", "_text", "_content", "_filter", "_query", "_type"}
_TOTALS = ("none", "estimate", "accurate")


def search(tx: Any, server: Server, request: Request) -> Response:
    """A searchset with the current resources that match, and what was ignored as its last entry.

    :raises BadRequest: a parameter is not supported, or unknown and ``Prefer: handling=strict``; names it
    """
    filters, ignored = _parameters(request)
    mode = subset.mode(request)
    count = 0 if mode == "count" else paging.count(request, server.config)
    try:
        page = store.find(tx, criteria(request.type, filters, request.base_url), count=count, sort=_sort(request),
                          after=request.parameter(paging.CURSOR), total=_total(request) or count == 0)
    except UnsupportedCriteria as error:
        raise BadRequest(issues=error.issues) from None
    send = subset.of(request)
    entries = [entry(f"{request.base_url}/{version.type}/{version.id}", send(version), search={"mode": "match"})
               for version in page.versions]
    links = paging.links(request, request.type, page.next if count else None, ignored)
    if ignored:
        entries.append(_warning(ignored, request.type))
    return Response(200, bundle("searchset", entries, total=page.total, links=links))


def _parameters(request: Request) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters that filter, and the names of those that nobody knows."""
    filters, ignored = [], []
    for name, value in request.query:
        if name in _RESULT:
            continue
        code = name.partition(":")[0].partition(".")[0]
        if code in search_parameters(request.type) or code in _FILTERS:
            filters.append((name, value))
        else:
            ignored.append(name)
    if ignored and request.preferences.get("handling") == "strict":
        raise BadRequest(f"{ignored[0]}: {request.type} has no such search parameter here; the parameters are listed at "
                         "metadata, and Prefer: handling=lenient ignores others", code="not-supported")
    return filters, ignored


def _sort(request: Request) -> tuple[str, ...]:
    value = request.parameter("_sort")
    return tuple(dict.fromkeys(value.split(","))) if value else ()


def _total(request: Request) -> bool:
    value = request.parameter("_total")
    if value is not None and value not in _TOTALS:
        raise BadRequest(f"_total: expected one of {' | '.join(_TOTALS)}; got {value!r}", code="value")
    return value != "none"


def _warning(ignored: list[str], resource_type: str) -> bytes:
    text = f"ignored, for {resource_type} has no such search parameter here: {', '.join(dict.fromkeys(ignored))}"
    return entry(resource=information(text, "warning", "not-supported"), search={"mode": "outcome"})
