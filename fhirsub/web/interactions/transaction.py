"""transaction: all entries or none, with references between them.

Spec: https://hl7.org/fhir/R4/http.html#trules
"""
from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any

from ...errors import BadRequest, PreconditionFailed
from ...fhir import references
from ..bundles import bundle
from ..naming import named
from ..request import Request, Response, pairs
from ..server import Server
from .committing import commit, hold, run, selected
from .conditions import condition
from .entries import Entry, answered
from .writing import Write

Read = Callable[[Any], Response]
Prepare = Callable[[Server, Request], "Write | Read"]

_CONDITIONAL = re.compile(r"([A-Z][A-Za-z]+)\?(.+)")


def transaction(server: Server, entries: list[Entry], prepare: Prepare) -> Response:
    """Carry out the entries: DELETE, POST, PUT and PATCH, GET; answer in the order of the Bundle.

    EventDefinitions and then Subscriptions are written last, for the order of the Bundle means nothing.

    :param prepare: what an entry asks, ready to run inside the transaction
    :raises FHIRSubError: one entry failed, it is named, and nothing was written
    """
    _refuse_same_urls(entries)

    def prepared() -> list[Write | Read]:
        return [_prepared(server, entry.request, prepare) for entry in entries]

    responses = commit(server, prepared, lambda tx, steps: _run(tx, entries, steps, server.now()))
    texts = [answered(entry.request, response) for entry, response in zip(entries, responses)]
    return Response(200, bundle("transaction-response", texts))


def _prepared(server: Server, request: Request, prepare: Prepare) -> Write | Read:
    with named(request):
        return prepare(server, request)


def _run(tx: Any, entries: list[Entry], steps: list[Write | Read], now: datetime) -> list[Response]:
    writes = [step for step in steps if isinstance(step, Write)]
    hold(tx, writes)
    _rewrite(tx, entries, steps, writes)
    run(tx, writes, now)
    return [_answered(tx, entry.request, step) for entry, step in zip(entries, steps)]


def _answered(tx: Any, request: Request, step: Write | Read) -> Response:
    with named(request):
        return step.answer() if isinstance(step, Write) else step(tx)


def _rewrite(tx: Any, entries: list[Entry], steps: list[Write | Read], writes: list[Write]) -> None:
    """Put real references where the entries refer to each other, or to what a search finds."""
    mapping = {entry.full_url: step.reference for entry, step in zip(entries, steps) if _stores(step)
               and entry.full_url not in ("", f"{entry.request.base_url}/{step.reference}")}
    storing = [write for write in writes if _stores(write)]
    for write in storing:
        with named(write.request):
            mapping |= _conditional(tx, write, writes, mapping)
    for write in storing:
        write.resource = references.rewrite(write.resource, mapping)


def _stores(step: Write | Read) -> bool:
    return isinstance(step, Write) and step.resource is not None


def _conditional(tx: Any, write: Write, writes: list[Write], known: dict[str, str]) -> dict[str, str]:
    """``{"Patient?identifier=1": "Patient/9"}`` for the conditional references in one resource."""
    found = {}
    for value in references.references(write.resource):
        search = _CONDITIONAL.fullmatch(value)
        if search and value not in known:
            found[value] = _only_match(tx, write, writes, search[1], search[2])
    return found


def _only_match(tx: Any, write: Write, writes: list[Write], resource_type: str, query: str) -> str:
    criteria = condition(resource_type, pairs(query), write.request.base_url)
    ids = selected(tx, criteria, writes)
    if len(ids) != 1:
        raise PreconditionFailed(f"the conditional reference {resource_type}?{query} must select one resource; it "
                                 f"selects {'several' if ids else 'none'}",
                                 code="multiple-matches" if ids else "not-found")
    return f"{resource_type}/{ids[0]}"


def _refuse_same_urls(entries: list[Entry]) -> None:
    seen: set[str] = set()
    for entry in entries:
        if entry.full_url in seen:
            raise BadRequest(f"{entry.request.where}.fullUrl: {entry.full_url!r} is the URL of another entry too",
                             expression=f"{entry.request.where}.fullUrl", code="duplicate")
        seen.update([entry.full_url] if entry.full_url else [])
