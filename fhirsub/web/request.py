"""One request and its response, as an HTTP request and as an entry of a Bundle alike.

Spec: https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from ..errors import BadRequest
from ..fhir import json
from ..store.versions import Version

MAX_PARAMETERS = 500    # each filter is a condition of one SQL statement
MISSING = object()    # null is a body too, if a wrong one


@dataclass
class Request:
    """What a client asks for.

    :param path: below the base, without slashes at its ends: ``Patient/1``
    :param query: ``[(name, value)]``, percent-decoded, in the order given
    :param headers: ``{"if-match": 'W/"1"', …}``, names in lower case
    :param body: the bytes of an HTTP request
    :param content: the decoded body, where it came inside a Bundle
    :param base_url: the FHIR base as the client sees it, without a slash at its end
    :param compartment: ``Patient`` for ``Patient/1/Observation``, whose ``type`` is Observation; empty for none
    :param where: ``Bundle.entry[0]``; empty for an HTTP request
    """

    method: str
    path: str
    base_url: str
    query: list[tuple[str, str]] = field(default_factory=list)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content: Any = MISSING
    type: str = ""
    id: str = ""
    version_id: str = ""
    compartment: str = ""
    where: str = ""

    @property
    def resource(self) -> Any:
        """The decoded body.

        :raises BadRequest: there is none, it is not JSON, or a member of an object is there twice
        """
        if self.content is MISSING:
            if not self.body:
                raise BadRequest(f"{self.method} {self.path} needs a body, and there is none", code="required")
            self.content = json.decode_strictly(self.body)
        return self.content

    @property
    def has_form(self) -> bool:
        """Whether the body is a form with parameters of a search, which count like those of the URL."""
        return self.path.rpartition("/")[2] == "_search"

    @cached_property
    def preferences(self) -> dict[str, str]:
        """The ``Prefer`` header: ``{"return": "minimal", "handling": "strict"}``."""
        parts = (part.partition("=") for part in self.headers.get("prefer", "").replace(",", ";").split(";"))
        return {name.strip().lower(): value.strip().strip('"') for name, _, value in parts}

    @property
    def hops(self) -> int:
        """How many notifications led to this request, one after the other: what the last one's ``X-FHIR-Hops`` says."""
        text = self.headers.get("x-fhir-hops", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def parameter(self, name: str) -> str | None:
        """The last value of the query parameter ``name``, None if it is absent."""
        return next((value for key, value in reversed(self.query) if key == name), None)


@dataclass
class Response:
    """What a client is answered.

    :param body: JSON text as it goes out; empty for none
    :param outcome: the body is an OperationOutcome, not the resource asked for
    :param headers: any that the other fields do not say
    :param record: what a read leaves in the log of changes, given a transaction that writes; None for nothing
    """

    status: int
    body: bytes = b""
    etag: str | None = None
    location: str | None = None
    last_modified: datetime | None = None
    outcome: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    record: Callable[[Any], Any] | None = None


def pairs(query: str | bytes) -> list[tuple[str, str]]:
    """``a=b&c=%20`` as ``[("a", "b"), ("c", " ")]``; empty values stay, for they are to be refused, not ignored.

    :raises BadRequest: over :data:`MAX_PARAMETERS`, or not UTF-8
    """
    try:
        text = query.decode() if isinstance(query, bytes) else query
        return parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_PARAMETERS, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("the parameters are not percent-encoded UTF-8") from None
    except ValueError:
        raise BadRequest(f"this server takes up to {MAX_PARAMETERS} parameters in one request",
                         code="too-costly") from None


def etag(version: Version) -> str:
    return f'W/"{version.version_id}"'


def answer(version: Version, base_url: str, status: int = 200) -> Response:
    """The response that sends ``version`` as it is stored."""
    body = version.content.encode() if version.content is not None else b""
    return Response(status, body, etag(version), location(version, base_url), version.last_updated)


def location(version: Version, base_url: str) -> str:
    return f"{base_url}/{version.type}/{version.id}/_history/{version.version_id}"
