"""How much of each resource a client wants: ``_summary`` and ``_elements``.

Spec: https://hl7.org/fhir/R4/search.html#summary
"""
from __future__ import annotations

from collections.abc import Callable

from ..errors import BadRequest
from ..fhir import json, subsets
from ..store.versions import Version
from .request import Request

_SUMMARIES = {"true": subsets.summary, "text": subsets.text, "data": subsets.data}
MODES = (*_SUMMARIES, "count", "false")


def mode(request: Request) -> str:
    """``_summary``.

    :raises BadRequest: it is none of :data:`MODES`
    """
    value = request.parameter("_summary")
    if value is not None and value not in MODES:
        raise BadRequest(f"_summary: expected one of {' | '.join(MODES)}; got {value!r}", code="value")
    return value or "false"


def of(request: Request) -> Callable[[Version], bytes]:
    """What turns a version into the JSON text that the client wants: the stored text, unless it asks for less.

    ``_elements`` says more exactly what is wanted, so it wins over ``_summary``.
    """
    names = [name.strip() for name in (request.parameter("_elements") or "").split(",") if name.strip()]
    if names:
        return lambda version: json.encode(subsets.elements(version.resource, names))
    if reduce := _SUMMARIES.get(mode(request)):
        return lambda version: json.encode(reduce(version.resource))
    return lambda version: version.content.encode()
