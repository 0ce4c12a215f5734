"""Which interaction a method and path ask for; the CapabilityStatement is made from this table.

Spec: https://hl7.org/fhir/R4/http.html#summary
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple

from ..errors import BadRequest, MethodNotAllowed, NotFound
from ..fhir.definitions.compartments import COMPARTMENTS
from .interactions.attempts import attempts
from .interactions.batch import batch
from .interactions.committing import write
from .interactions.create import Create
from .interactions.delete import Delete
from .interactions.entries import entries
from .interactions.explain import explain
from .interactions.history import history
from .interactions.metadata import metadata
from .interactions.patch import Patch
from .interactions.preview import preview
from .interactions.raising import Raise
from .interactions.read import read, vread
from .interactions.replay import Replay
from .interactions.scope import EVERY_TYPE
from .interactions.search import search
from .interactions.transaction import transaction
from .interactions.update import Update
from .interactions.writing import Write
from .request import Request, Response
from .server import Server


class Route(NamedTuple):
    """One interaction.

    :param code: https://hl7.org/fhir/R4/valueset-restful-interaction.html
    :param run: a :class:`Write`, or a function ``(tx, server, request)`` that reads; of an operation a function
        ``(server, request)`` that checks, and gives what reads
    :param documentation: what an operation does, for the CapabilityStatement
    """

    code: str
    run: Callable[..., Any]
    documentation: str = ""


def _bundle(server: Server, request: Request) -> Response:
    """POST [base]: a batch or a transaction."""
    content = request.resource
    parts = entries(content, request, server.config.max_bundle_entries)
    if content["type"] == "batch":
        return batch(server, parts, perform)
    if content["type"] == "transaction":
        return transaction(server, parts, _prepare)
    raise BadRequest(f"Bundle.type: a batch or transaction is POSTed here; got {content['type']!r}. To store the "
                     "Bundle, POST it to Bundle", expression="Bundle.type", code="value")


def _metadata(tx: Any, server: Server, request: Request) -> Response:
    return metadata(tx, server, request, _CODES, _CONDITIONAL, _OPERATIONS)


# Paths below the base, as the specification writes them.
_OF_THE_SYSTEM = {
    "": {"GET": Route("search-system", search), "POST": Route("transaction", _bundle)},
    "_search": {"GET": Route("search-system", search), "POST": Route("search-system", search)},
    "metadata": {"GET": Route("capabilities", _metadata)},
    "_history": {"GET": Route("history-system", history)},
}
_OF_A_TYPE = {
    "[type]": {"GET": Route("search-type", search), "POST": Route("create", Create), "PUT": Route("update", Update),
               "PATCH": Route("patch", Patch), "DELETE": Route("delete", Delete)},
    "[type]/_search": {"POST": Route("search-type", search)},
    "[type]/_history": {"GET": Route("history-type", history)},
    "[type]/[id]": {"GET": Route("read", read), "PUT": Route("update", Update), "PATCH": Route("patch", Patch),
                    "DELETE": Route("delete", Delete)},
    "[type]/[id]/_history": {"GET": Route("history-instance", history)},
    "[type]/[id]/_history/[vid]": {"GET": Route("vread", vread)},
}
# Both are search-type: R4 has no code of its own for a search in a compartment.
_IN_A_COMPARTMENT = {
    "[compartment]/[id]/[type]": {"GET": Route("search-type", search)},
    "[compartment]/[id]/[type]/_search": {"POST": Route("search-type", search)},
}
_OPERATING = {
    "Subscription/$preview": {"POST": Route(
        "operation", preview, "Which of the last _count writes (100) would have notified the Subscription in the body; "
        "nothing is stored.")},
    "Subscription/[id]/$explain": {"GET": Route(
        "operation", explain, "Why the Subscription was or was not notified of resource (Type/id or "
        "Type/id/_history/version).")},
    "Subscription/[id]/$attempts": {"GET": Route(
        "operation", attempts, "What was tried to notify the Subscription, newest first; status (accepted, failed or "
        "an HTTP status) and since (instant) narrow it down.")},
    "Subscription/[id]/$replay": {"POST": Route(
        "operation", Replay, "Events are sent again under their numbers: since and until (valueInstant), or from and "
        "to (valuePositiveInt), or parked (valueBoolean) for those that were left when it was switched off.")},
    "EventDefinition/[id]/$raise": {"POST": Route(
        "operation", Raise, "The event, a named-event trigger without condition, happened to the resource in focus "
        "(valueReference); context (valueReference, repeated) is told with it.")},
}
ROUTES: dict[str, dict[str, Route]] = _OF_THE_SYSTEM | _OF_A_TYPE | _IN_A_COMPARTMENT | _OPERATING

_CODES = frozenset(route.code for routes in ROUTES.values() for route in routes.values()) - {"operation"} | {"batch"}
_CONDITIONAL = frozenset(ROUTES["[type]"])
_OPERATIONS = tuple((path, route.documentation) for path, routes in _OPERATING.items() for route in routes.values())
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def perform(server: Server, request: Request) -> Response:
    """Carry out one request in a transaction of its own.

    :raises FHIRSubError: it was refused; nothing was written
    """
    return run(server, request, find(server, request))


def run(server: Server, request: Request, route: Route) -> Response:
    """Carry out one request whose route is known."""
    if route.run is _bundle:
        _refuse_nested(request)
        return _bundle(server, request)
    if isinstance(route.run, type):
        return write(server, request, route.run)
    if route.code == "operation":
        answer = route.run(server, request)     # before the transaction: what it checks may be slow
        with server.database.read() as tx:
            return answer(tx)
    with server.database.read() as tx:
        response = route.run(tx, server, request)
    if response.record:
        with server.database.write() as tx:
            response.record(tx)
    return response


def _prepare(server: Server, request: Request) -> Write | Callable[[Any], Response]:
    """An entry of a transaction: a write to be held and run, or a read that wants the transaction."""
    route = find(server, request)
    if route.run is _bundle:
        _refuse_nested(request)
    if isinstance(route.run, type) or route.code == "operation":
        return route.run(server, request)
    return lambda tx: _read_inside(tx, server, request, route)


def _read_inside(tx: Any, server: Server, request: Request, route: Route) -> Response:
    response = route.run(tx, server, request)
    if response.record:
        response.record(tx)
    return response


def _refuse_nested(request: Request) -> None:
    if request.where:
        raise BadRequest("a batch or transaction cannot hold another")


def find(server: Server, request: Request) -> Route:
    """The route of a request, whose ``type``, ``id`` and ``version_id`` are set on the way.

    :raises NotFound: nothing is at this path
    :raises MethodNotAllowed: something is, but not for this method
    """
    shape = _shape(server, request)
    method = "GET" if request.method == "HEAD" else request.method
    if method not in ROUTES[shape]:
        allow = ", ".join(_methods(shape))
        raise MethodNotAllowed(f"{request.method} is not supported here; {allow} are", headers={"Allow": allow})
    return ROUTES[shape][method]


def allowed(server: Server, request: Request) -> str:
    """The ``Allow`` header: which methods the path of a request takes.

    :raises NotFound: nothing is at this path
    """
    return ", ".join(_methods(_shape(server, request)))


def _methods(shape: str) -> list[str]:
    found = ROUTES[shape]
    return [*found, *(["HEAD"] if "GET" in found else []), "OPTIONS"]


def _shape(server: Server, request: Request) -> str:
    if request.path in _OF_THE_SYSTEM:
        return request.path
    request.type, *rest = request.path.split("/")
    if request.type not in server.resource_types:
        raise NotFound(f"{request.type!r} is no resource type that this server has; metadata lists them",
                       code="not-supported" if request.type.isalpha() else "not-found")
    words = ["[type]"]
    if rest and not rest[0].startswith(("_", "$")):
        request.id = rest.pop(0)
        words.append("[id]")
    if request.id and rest and _enters_compartment(server, request, rest[0]):
        words, rest[0] = ["[compartment]", "[id]"], "[type]"
    if len(rest) == 2 and rest[0] == "_history":
        request.version_id = rest.pop()
        rest.append("[vid]")
    shape = "/".join([*words, *rest])
    if "$" in shape:
        shape = shape.replace("[type]", request.type)    # an operation is of one type
    if shape not in ROUTES:
        raise NotFound(f"nothing is at {request.path!r}", code="not-supported")
    if request.id and request.method != "PUT" and not _ID.fullmatch(request.id):
        raise NotFound(f"{request.id!r} is no id, so nothing is at {request.path!r}")
    return shape


def _enters_compartment(server: Server, request: Request, name: str) -> bool:
    """Whether ``name`` after Type/id is what to search in the compartment of that resource."""
    if request.type not in COMPARTMENTS or name not in (EVERY_TYPE, *server.resource_types):
        return False
    request.compartment, request.type = request.type, name
    return True
