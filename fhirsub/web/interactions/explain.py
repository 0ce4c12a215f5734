"""$explain: GET [base]/Subscription/[id]/$explain?resource=Type/id, why a write did or did not notify a Subscription.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/parameters.html
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from ...errors import BadRequest, Gone, NotFound
from ...fhir import json, references
from ...fhir.criteria import Criteria, Predicate, parse
from ...fhir.definitions.structures import RESOURCE_TYPES
from ...fhir.search_values import SearchValues
from ...fhir.search_values.text import text
from ...store import changes, versions
from ...store.changes import Change
from ...store.versions import Version
from ...subscriptions.trace import Reason, reasons
from ..request import Request, Response
from ..server import Server
from .preview import refuse_unknown

_WRITTEN = re.compile(r"([A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/([A-Za-z0-9.-]{1,64}))?")
_PARAMETERS = ("resource", "_format", "_pretty")


def explain(server: Server, request: Request) -> Callable[[Any], Response]:
    """Read what is asked.

    :returns: what answers inside a transaction, with Parameters: ``match``, each ``predicate`` with what was asked and
        what was found, and each ``reason`` for what became of it
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
    reference = f"{type}/{id}" + (f"/_history/{version_id}" if version_id else "")
    written = _present(changes.last(tx, type, id, version_id=version_id), reference)
    criteria = parse(subscription.resource["criteria"], subscription.base_url or "")
    values = SearchValues(written.resource, written.base_url or server.config.base_url)
    told = reasons(tx, subscription.resource, written, now=server.now())
    parameters = [
        {"name": "match", "valueBoolean": criteria.test(values)},
        {"name": "criteria", "valueString": subscription.resource["criteria"]},
        {"name": "resource", "valueReference": {"reference": f"{type}/{id}/_history/{written.version_id}"}},
        *_predicates(criteria, values),
        *map(_reason, told)]
    return Response(200, json.encode({"resourceType": "Parameters", "parameter": parameters}))


def _present(found: Version | Change | None, reference: str) -> Version | Change:
    if found is None:
        raise NotFound(f"there is no {reference}")
    if found.resource is None:
        raise Gone(f"{reference} was deleted as version {found.version_id}; a delete notifies nobody")
    return found


def _predicates(criteria: Criteria, values: SearchValues) -> Iterator[dict[str, Any]]:
    yield _parts("predicate", parameter="type", asked=[criteria.type], found=[values.type],
                 match=criteria.type == values.type)
    if criteria.type == values.type:
        for predicate in criteria.predicates:
            yield _predicate(predicate, values)


def _predicate(predicate: Predicate, values: SearchValues) -> dict[str, Any]:
    return _parts("predicate", parameter=predicate.parameter.code, modifier=predicate.modifier, asked=predicate.asked(),
                  found=map(text, predicate.found(values)), match=predicate.test(values))


def _reason(reason: Reason) -> dict[str, Any]:
    return _parts("reason", code=reason.code, text=reason.text, eventNumber=reason.event_number,
                  attempts=reason.attempts)


def _parts(name: str, **given: Any) -> dict[str, Any]:
    """A parameter with a part for each value given; a list gives several of one name, None and "" give none."""
    parts = []
    for part, value in given.items():
        several = [value] if value is None or isinstance(value, (str, bool, int)) else value
        parts += [{"name": part, _kind(one): one} for one in several if one not in (None, "")]
    return {"name": name, "part": parts}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "valueBoolean"
    return "valueUnsignedInt" if isinstance(value, int) else "valueString"
