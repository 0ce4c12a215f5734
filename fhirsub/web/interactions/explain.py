"""$explain: GET [base]/Subscription/[id]/$explain?resource=Type/id, why a write did or did not notify a Subscription.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/parameters.html
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import BadRequest, ExpressionFailed, FHIRSubError, Gone, NotFound
from ...fhir import json, references
from ...fhir.definitions.structures import RESOURCE_TYPES
from ...fhir.topics import Needs, Question, Written, of_subscription
from ...fhir.topics.combination import Find
from ...store import changes, versions
from ...store.changes import Change
from ...store.versions import Version
from ...subscriptions.gathering import gather
from ...subscriptions.topics import Topics
from ...subscriptions.trace import Reason, reasons
from ..request import Request, Response
from ..server import Server
from .grounds import grounds, parts
from .preview import refuse_unknown

_WRITTEN = re.compile(r"([A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?")
_PARAMETERS = ("resource", "_format", "_pretty")


def explain(server: Server, request: Request) -> Callable[[Any], Response]:
    """Read what is asked.

    :returns: what answers inside a transaction, with Parameters: ``match``, each ``predicate``, ``compartment`` and
        ``event`` with what was asked and what was found, and each ``reason`` for what became of it
    :raises BadRequest: ``resource`` is missing, or neither ``Type/id`` nor ``Type/id/_history/version``; or a parameter
        is unknown
    """
    refuse_unknown(request, _PARAMETERS)
    asked = request.parameter("resource") or ""
    found = _WRITTEN.fullmatch(references.relative(asked, request.base_url))
    if not found or found[1] not in RESOURCE_TYPES:
        raise BadRequest(f"resource: expected what was written, as Type/id or Type/id/_history/version; got {asked!r}",
                         code="value" if asked else "required")
    return lambda tx: _answer(tx, server, request, *found.groups())


def _answer(tx: Any, server: Server, request: Request, type: str, id: str, version_id: str | None) -> Response:
    """:raises NotFound, Gone: of the Subscription or of the resource"""
    reference = f"Subscription/{request.id}"
    subscription = _present(versions.current(tx, "Subscription", request.id), reference)
    topics = Topics()
    find = topics.finder(tx)
    question = _question(subscription, find)
    reference = f"{type}/{id}" + (f"/_history/{version_id}" if version_id else "")
    change = changes.last(tx, type, id, version_id=version_id, interactions=_interactions(question, find))
    if change is None or question is None or question.plain:
        _present(change, reference)
    needs = Needs(question.needs(find) if question else ())
    [written] = gather(tx, [change], topics, base_url=server.config.base_url, needs=needs)  # as the matcher sees it now
    told = reasons(tx, subscription.resource, change, now=server.now())
    parameters = [
        *_verdict(question, written),
        {"name": "criteria", "valueString": subscription.resource["criteria"]},
        {"name": "resource", "valueReference": {"reference": f"{type}/{id}/_history/{change.version_id}"}},
        *(grounds(question, written) if question else ()),
        *map(_reason, told)]
    return Response(200, json.encode({"resourceType": "Parameters", "parameter": parameters}))


def _present(found: Version | Change | None, reference: str) -> Version | Change:
    if found is None:
        raise NotFound(f"there is no {reference}")
    if found.resource is None:
        raise Gone(f"{reference} was deleted as version {found.version_id}; a delete notifies nobody")
    return found


def _question(subscription: Version, find: Find) -> Question | None:
    """What the Subscription asks; None if that cannot be evaluated (any more), and then the reasons say why."""
    try:
        return of_subscription(subscription.resource, subscription.base_url or "", find)
    except FHIRSubError:
        return None


def _interactions(question: Question | None, find: Find) -> tuple[str, ...]:
    """What the question may be about: a read is no matter of a Subscription that asks for writes."""
    topics = [find(step.reference) for step in question.topics] if question else []
    words = {word for topic in topics if topic for key in topic.keys(find) for word in key.split()}
    return (*changes.WRITES, *(one for one in ("read", "raise", "periodic") if one in words))


def _verdict(question: Question | None, written: Written) -> Iterator[dict[str, Any]]:
    """``match``, and for a question that tells them apart the ``transition``."""
    try:
        match = question and question.test(written)
    except ExpressionFailed as error:
        match = None
        yield {"name": "failure", "valueString": str(error)}
    yield {"name": "match", "valueBoolean": match is not None}
    if match and match.transition:
        yield {"name": "transition", "valueCode": match.transition}


def _reason(reason: Reason) -> dict[str, Any]:
    return parts("reason", code=reason.code, text=reason.text, eventNumber=reason.event_number,
                  attempts=reason.attempts)
