"""The entries of a batch or transaction Bundle, as requests and as responses.

Spec: https://hl7.org/fhir/R4/http.html#transaction, https://hl7.org/fhir/R4/bundle.html
"""
from __future__ import annotations

from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import unquote

from ...errors import BadRequest, TooLarge
from ...fhir import json, validation
from ...fhir.instants import instant_text
from ..bundles import entry
from ..request import MISSING, Request, Response, pairs

_HEADERS = {"ifMatch": "if-match", "ifNoneMatch": "if-none-match", "ifModifiedSince": "if-modified-since",
            "ifNoneExist": "if-none-exist"}


class Entry(NamedTuple):
    """One entry: what is asked, and the URL that other entries refer to it by."""

    full_url: str
    request: Request


def entries(bundle: Any, outer: Request, limit: int) -> list[Entry]:
    """The entries of a valid Bundle; their resources are validated later, each as if it came alone.

    :param outer: the request that brought the Bundle
    :raises BadRequest: this is no Bundle, or an entry has no request
    :raises TooLarge: more than ``limit``
    """
    rows = bundle.get("entry", []) if isinstance(bundle, dict) else []
    if isinstance(rows, list) and len(rows) > limit:
        raise TooLarge(f"this server takes Bundles of up to {limit} entries; got {len(rows)}", code="too-costly")
    validation.check(bundle, "Bundle", entries=False)
    return [Entry(row.get("fullUrl", ""), _request(row, f"Bundle.entry[{index}]", outer))
            for index, row in enumerate(rows)]


def _request(row: dict, where: str, outer: Request) -> Request:
    if "request" not in row:
        raise BadRequest(f"{where}.request: each entry of a batch or transaction needs one", code="required",
                         expression=where)
    asked = row["request"]
    headers = {_HEADERS[key]: value for key, value in asked.items() if key in _HEADERS}
    headers |= {name: outer.headers.get(name, "") for name in ("prefer", "x-fhir-hops")}
    path, _, query = asked["url"].removeprefix(outer.base_url + "/").partition("?")
    return Request(asked["method"], unquote(path).strip("/"), outer.base_url, pairs(query), headers,
                   content=row.get("resource", MISSING), where=where)


def answered(request: Request, response: Response) -> bytes:
    """The entry of the response Bundle, as JSON text."""
    said = {"status": f"{response.status} {HTTPStatus(response.status).phrase}", "location": response.location,
            "etag": response.etag, "lastModified": response.last_modified and instant_text(response.last_modified),
            "outcome": json.decode(response.body) if response.outcome else None}
    full_url = (response.location or "").partition("/_history/")[0]
    resource = b"" if response.outcome or request.method == "HEAD" else response.body
    return entry(full_url, resource, response={key: value for key, value in said.items() if value})
