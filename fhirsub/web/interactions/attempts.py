"""$attempts: GET [base]/Subscription/[id]/$attempts, what was tried to notify a Subscription and what came of it.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/parameters.html
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from ...delivery.attempts import attempts as logged
from ...delivery.backlog import parked, waiting
from ...errors import BadRequest, Gone, NotFound
from ...fhir import json
from ...fhir.instants import instant_text, parse_instant
from ...store import versions
from .. import paging
from ..request import Request, Response
from ..server import Server
from .preview import refuse_unknown

_PARAMETERS = ("status", "since", "_count", paging.CURSOR, "_format", "_pretty")
_OUTCOMES = {"accepted": True, "failed": False}


def attempts(server: Server, request: Request) -> Callable[[Any], Response]:
    """Read what is asked.

    :returns: what answers inside a transaction, with Parameters: how many events are ``waiting`` and ``parked``, each
        ``attempt`` newest first, and ``next``, the link to the page after
    :raises BadRequest: ``status`` is not ``accepted``, ``failed`` or an HTTP status, ``since`` no instant, or a
        parameter is unknown
    """
    refuse_unknown(request, _PARAMETERS)
    count = paging.count(request, server.config)
    filters = {"before": _number(request, paging.CURSOR), "since": _since(request)} | _status(request)
    return lambda tx: _answer(tx, request, count, filters)


def _answer(tx: Any, request: Request, count: int, filters: dict[str, Any]) -> Response:
    """:raises NotFound, Gone: of the Subscription"""
    stored = versions.current(tx, "Subscription", request.id)
    if stored is None:
        raise NotFound(f"there is no Subscription/{request.id}")
    if stored.deleted:
        raise Gone(f"Subscription/{request.id} was deleted as version {stored.version_id}")
    rows = logged(tx, request.id, count=count + 1, **filters)
    parameters = [{"name": "waiting", "valueUnsignedInt": waiting(tx, request.id)},
                  {"name": "parked", "valueUnsignedInt": parked(tx, request.id)}]
    parameters += [{"name": "attempt", "part": _parts(row)} for row in rows[:count]]
    if count and len(rows) > count:
        _, (_, url) = paging.links(request, request.path, str(rows[count - 1].key))
        parameters.append({"name": "next", "valueUri": url})
    return Response(200, json.encode({"resourceType": "Parameters", "parameter": parameters}))


def _parts(row: Any) -> list[dict[str, Any]]:
    parts = [{"name": "eventNumber", "valuePositiveInt": row.event_number},
             {"name": "attempt", "valuePositiveInt": row.attempt},
             {"name": "manual", "valueBoolean": row.manual},
             {"name": "started", "valueInstant": instant_text(row.started_at)},
             {"name": "ms", "valueUnsignedInt": row.took_ms},
             {"name": "outcome", "valueCode": "accepted" if row.error is None else "failed"}]
    if row.status is not None:
        parts.append({"name": "status", "valuePositiveInt": row.status})
    if row.error is not None:
        parts.append({"name": "error", "valueString": row.error})
    if row.next_at is not None:
        parts.append({"name": "next", "valueInstant": instant_text(row.next_at)})
    return parts


def _status(request: Request) -> dict[str, Any]:
    text = request.parameter("status")
    if text is None:
        return {}
    if text in _OUTCOMES:
        return {"accepted": _OUTCOMES[text]}
    if text.isascii() and text.isdigit() and len(text) == 3:
        return {"status": int(text)}
    raise BadRequest(f"status: expected accepted, failed or an HTTP status such as 503; got {text!r}", code="value")


def _since(request: Request) -> datetime | None:
    text = request.parameter("since")
    try:
        return None if text is None else parse_instant(text)
    except ValueError as error:
        raise BadRequest(f"since: {error}", code="value") from None


def _number(request: Request, name: str) -> int | None:
    text = request.parameter(name)
    if text is None or text.isascii() and text.isdigit() and len(text) < 19:
        return None if text is None else int(text)
    raise BadRequest(f"{name}: follow the link of the page before; got {text!r}", code="value")
