"""batch: each entry on its own, as if it came by HTTP.

Spec: https://hl7.org/fhir/R4/http.html#brules
"""
from __future__ import annotations

from collections.abc import Callable

from ..bundles import bundle
from ..naming import named
from ..outcomes import failure
from ..request import Request, Response
from ..server import Server
from .entries import Entry, answered

Perform = Callable[[Server, Request], Response]


def batch(server: Server, entries: list[Entry], perform: Perform) -> Response:
    """Carry out the entries in order; one that fails has its own status and outcome, and stops no other."""
    responses = [answered(entry.request, _answer(server, entry.request, perform)) for entry in entries]
    return Response(200, bundle("batch-response", responses))


def _answer(server: Server, request: Request, perform: Perform) -> Response:
    try:
        with named(request):
            return perform(server, request)
    except Exception as error:  # what the entries before it have done stands, so they must get their answer
        return failure(error)
