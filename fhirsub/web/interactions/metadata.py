"""capabilities: GET [base]/metadata, the CapabilityStatement, made from what is really registered.

Spec: https://hl7.org/fhir/R4/http.html#capabilities, https://hl7.org/fhir/R4/capabilitystatement.html
"""
from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ...fhir import json
from ...fhir.definitions.parameters import search_parameters
from ...fhir.including import includes, reverse_includes
from ...fhir.instants import instant_text
from ...store.search_rows import SEARCHABLE
from ..negotiation import FHIR_JSON, JSON_PATCH
from ..request import Request, Response
from ..server import Server
from . import events

FHIR_VERSION = "4.0.1"
DEFINITIONS = "http://fhirsub.org/OperationDefinition"
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"

Operations = tuple[tuple[str, str], ...]

_PUBLISHED = {"fulltext": "string"}
_OF_THE_SYSTEM = {"transaction", "batch", "history-system", "search-system", "capabilities"}


def metadata(tx: Any, server: Server, request: Request, codes: frozenset[str], conditional: frozenset[str],
             operations: Operations) -> Response:
    """The CapabilityStatement of this server, at the base that the client asked, with the events of this moment.

    :param codes: the interactions there are, ``{"read", "history-system", …}``
    :param conditional: the methods that take a search in place of an id, ``{"PUT", "DELETE", …}``
    :param operations: path and documentation of each, ``(("Subscription/$preview", "Which of …"), …)``
    """
    statement = _statement(server, request.base_url, codes, conditional, operations)
    return Response(200, json.encode(_with_events(statement, events.extensions(tx, server))))


def _with_events(statement: Mapping[str, Any], extensions: list[dict]) -> Mapping[str, Any]:
    """The statement with these extensions on the resource type Subscription."""
    [rest] = statement["rest"]
    resources = [one | {"extension": extensions} if one["type"] == "Subscription" and extensions else one
                 for one in rest["resource"]]
    return {**statement, "rest": [rest | {"resource": resources}]}


@lru_cache(maxsize=8)   # a server is asked under few names; made-up ones must not fill the memory
def _statement(server: Server, base_url: str, codes: frozenset[str], conditional: frozenset[str],
               operations: Operations) -> Mapping[str, Any]:
    """Made once: 146 types with their search parameters take a while."""
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{base_url}/metadata",
        "version": server.software_version,
        "name": "FHIRSub",
        "title": "FHIR R4 server with Subscriptions",
        "status": "active",
        "date": instant_text(server.now()),
        "kind": "instance",
        "software": {"name": "fhirsub", "version": server.software_version},
        "implementation": {"description": "fhirsub", "url": base_url},
        "fhirVersion": FHIR_VERSION,
        "format": [FHIR_JSON, "json"],
        "patchFormat": [JSON_PATCH],
        "rest": [_rest(server, base_url, codes, conditional, operations)]}


def _rest(server: Server, base_url: str, codes: frozenset[str], conditional: frozenset[str],
          operations: Operations) -> dict[str, Any]:
    websocket = server.websocket_url(base_url)
    return {
        **({"extension": [{"url": WEBSOCKET, "valueUri": websocket}]} if websocket else {}),
        "mode": "server",
        "resource": [_resource(server, name, codes, conditional) | _operations(name, operations)
                     for name in sorted(server.resource_types)],
        "interaction": _coded(codes & _OF_THE_SYSTEM - {"capabilities"})}   # metadata itself is not listed


def _resource(server: Server, name: str, codes: frozenset[str], conditional: frozenset[str]) -> dict[str, Any]:
    config = server.config
    documentation = _documentation(server) if name == "Subscription" else ""
    return {
        "type": name,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{name}",
        **({"documentation": documentation} if documentation else {}),
        "interaction": _coded(codes - _OF_THE_SYSTEM),
        "versioning": "versioned-update" if config.require_if_match else "versioned",
        "readHistory": "vread" in codes,
        "updateCreate": config.update_creates,
        "conditionalCreate": "create" in codes,
        "conditionalRead": "full-support",
        "conditionalUpdate": "PUT" in conditional,
        "conditionalDelete": "single" if "DELETE" in conditional else "not-supported",
        "referencePolicy": ["literal", "logical", *(["enforced"] if config.references_must_exist else [])],
        "searchInclude": includes(name),
        "searchRevInclude": reverse_includes(name, server.resource_types),
        "searchParam": _search_parameters(name)}


def _operations(name: str, operations: Operations) -> dict[str, Any]:
    """The operations of one resource type; empty where there are none."""
    found = [(path.rpartition("$")[2], text) for path, text in operations if path.startswith(f"{name}/")]
    listed = [{"name": code, "definition": f"{DEFINITIONS}/{name}-{code}", "documentation": text}
              for code, text in found]
    return {"operation": listed} if listed else {}


def _coded(codes: frozenset[str]) -> list[dict[str, str]]:
    return [{"code": code} for code in sorted(codes)]


def _search_parameters(name: str) -> list[dict[str, str]]:
    """Those of the kinds that a search can find; the others are refused."""
    return [{"name": code, "definition": parameter.url, "type": _PUBLISHED.get(parameter.type, parameter.type)}
            for code, parameter in search_parameters(name).items() if parameter.type in SEARCHABLE]


def _documentation(server: Server) -> str:
    """Which channels deliver, and what each says of itself; Markdown."""
    said = {name: getattr(channel, "documentation", "") for name, channel in server.channels.items()}
    return "\n".join(f"* `{name}`: {text}" if text else f"* `{name}`" for name, text in said.items())
