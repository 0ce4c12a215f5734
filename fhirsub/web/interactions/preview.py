"""$preview: POST [base]/Subscription/$preview, which of the last writes a Subscription would have been notified of.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import BadRequest, ExpressionFailed, Issue
from ...fhir import json
from ...fhir.outcome import outcome
from ...fhir.topics import Match, Needs, Question, Written, of_subscription
from ...fhir.topics.transitions import LEAVE
from ...store import changes
from ...store.changes import Change
from ...store.terminology import Expansions
from ...subscriptions.gathering import gather
from ...subscriptions.topics import Topics
from .. import paging
from ..bundles import bundle, entry
from ..request import Request, Response
from ..server import Server
from .create import Create

DEFAULT_WRITES = 100
_PARAMETERS = ("_count", "_format", "_pretty")


def preview(server: Server, request: Request) -> Callable[[Any], Response]:
    """Check the Subscription as a create would; nothing is stored.

    :returns: what answers inside a transaction, with a searchset: the versions that would have been notified, newest
        first, and how many writes were looked at. It is judged as if it and its events had been on all the time
    :raises FHIRSubError: the Subscription would be refused, or a parameter is unknown
    """
    refuse_unknown(request, _PARAMETERS)
    count = _count(server, request)
    subscription = Create(server, request).resource

    def answer(tx: Any) -> Response:
        writes = changes.newest(tx, count)
        return _answer(writes, _matches(tx, subscription, writes, server, request), request)

    return answer


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


def _matches(tx: Any, subscription: dict, writes: list[Change], server: Server, request: Request) -> dict[int, Match]:
    """By seq the writes that match, as the matcher would judge them now.

    :raises Unprocessable: the Subscription names events that it cannot have, or codes that cannot be told
    """
    topics = Topics()
    find = topics.finder(tx)
    question = of_subscription(subscription, request.base_url, find)
    if question.criteria is not None:
        question.criteria.bind(Expansions(tx))  # refuses what a create would, also if no write is of its type
    batch = gather(tx, writes, topics, base_url=server.config.base_url, needs=Needs(question.needs(find)))
    found = {written.seq: _tested(question, written) for written in batch}
    return {seq: match for seq, match in found.items() if match is not None}


def _tested(question: Question, written: Written) -> Match | None:
    try:
        return question.test(written)
    except ExpressionFailed:    # a filter that cannot judge this write lets nothing through
        return None


def _answer(writes: list[Change], matches: dict[int, Match], request: Request) -> Response:
    found = [write for write in writes if write.seq in matches]
    summary = (f"{len(found)} of the last {len(writes)} writes would have been notified, had the Subscription been on; "
               "nothing was stored")
    shown = [_entry(write, request.base_url) for write in found
             if write.resource is not None and matches[write.seq].transition != LEAVE]
    told = [Issue(text, "informational", severity="information")
            for text in (summary, *(_said(write, matches[write.seq]) for write in found)) if text]
    last = entry(resource=json.encode(outcome(told)), search={"mode": "outcome"})
    links = paging.links(request, request.path, None)
    return Response(200, bundle("searchset", [*shown, last], total=len(shown), links=links))


def _entry(write: Change, base_url: str) -> bytes:
    return entry(f"{base_url}/{write.type}/{write.id}", json.encode(write.resource), search={"mode": "match"})


def _said(write: Change, match: Match) -> str:
    """What became of the resource and by which events; empty where R4's own criteria tell neither."""
    by = ", ".join(f"EventDefinition/{id}" for id in match.topics)
    if not by and match.transition is None:
        return ""
    told = match.transition or write.interaction
    return f"{write.type}/{write.id}/_history/{write.version_id}: {told}{by and f' by {by}'}"
