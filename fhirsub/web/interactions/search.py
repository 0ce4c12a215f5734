"""search: GET [base]/[type]?…, GET [base]?…, GET [base]/[compartment]/[id]/[type]?…, and each by POST to …/_search.

Spec: https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from typing import Any

from ...errors import BadRequest, UnsupportedCriteria
from ...store import search as store
from .. import paging, subset
from ..bundles import bundle, entry
from ..outcomes import information
from ..request import Request, Response
from ..server import Server
from . import including
from .scope import Scope, scope, takes_types

# What says where to look and how to answer, not what to find.
_RESULT = {"_count", "_sort", "_total", "_summary", "_elements", "_format", "_pretty", paging.CURSOR}
# Filters that R4 defines beside those of the type: never ignored, for the answer would hold too much.
_FILTERS = {"_has", "_list", "_filter", "_query", "_type"}
_TOTALS = ("none", "estimate", "accurate")


def search(tx: Any, server: Server, request: Request) -> Response:
    """A searchset with the current resources that match, what they include, and what was ignored as its last entry.

    :raises BadRequest: a parameter is not supported, or unknown and ``Prefer: handling=strict``; names it
    """
    where = scope(server, request)
    filters, ignored = _parameters(request, where)
    rules = including.rules(request, where.types)
    count = 0 if subset.mode(request) == "count" else paging.count(request, server.config)
    try:
        page = store.find(tx, where.alternatives(filters, request.base_url), count=count, sort=_sort(request, where),
                          after=request.parameter(paging.CURSOR), total=_total(request) or count == 0)
    except UnsupportedCriteria as error:
        raise BadRequest(issues=error.issues) from None
    send = subset.of(request)
    entries = [entry(f"{request.base_url}/{version.type}/{version.id}", send(version), search={"mode": "match"})
               for version in page.versions]
    entries += including.included(tx, request, page.versions, rules, send)
    entries += [_warning(ignored)] * bool(ignored)
    path = request.path.removesuffix("_search").rstrip("/")
    links = paging.links(request, path, page.next if count else None, ignored)
    return Response(200, bundle("searchset", entries, total=page.total, links=links))


def _parameters(request: Request, where: Scope) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters that filter, and the names of those that nobody knows."""
    filters, ignored = [], []
    for name, value in request.query:
        code = name.partition(":")[0].partition(".")[0]
        if code in ("_contained", "_containedType"):
            _refuse_contained(name, value)
        elif name == "_type" and takes_types(request) or name in _RESULT or code in including.NAMES:
            continue
        elif code in _FILTERS or where.knows(code):
            filters.append((name, value))
        else:
            ignored.append(name)
    if ignored and request.preferences.get("handling") == "strict":
        raise BadRequest(f"{ignored[0]}: there is no such search parameter here; the parameters are listed at "
                         "metadata, and Prefer: handling=lenient ignores others", code="not-supported")
    return filters, ignored


def _refuse_contained(name: str, value: str) -> None:
    if (name, value) != ("_contained", "false"):
        raise BadRequest(f"{name}={value}: this server does not search contained resources; leave it out, or search "
                         "for the resources that contain them", code="not-supported")


def _sort(request: Request, where: Scope) -> tuple[str, ...]:
    value = request.parameter("_sort")
    rules = tuple(dict.fromkeys(value.split(","))) if value else ()
    for rule in rules if len(where.types) > 1 else ():
        if not where.sorts(rule.removeprefix("-")):
            raise BadRequest(f"_sort={rule}: it is not of one kind in all the types searched; sort by _lastUpdated or "
                             "_id, or name fewer types in _type", code="not-supported")
    return rules


def _total(request: Request) -> bool:
    value = request.parameter("_total")
    if value is not None and value not in _TOTALS:
        raise BadRequest(f"_total: expected one of {' | '.join(_TOTALS)}; got {value!r}", code="value")
    return value != "none"


def _warning(ignored: list[str]) -> bytes:
    text = f"ignored, for there is no such search parameter here: {', '.join(dict.fromkeys(ignored))}"
    return entry(resource=information(text, "warning", "not-supported"), search={"mode": "outcome"})
