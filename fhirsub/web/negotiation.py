"""Which format the client writes and which it reads; this server has JSON.

Spec: https://hl7.org/fhir/R4/http.html#mime-type, https://hl7.org/fhir/R4/http.html#parameters
"""
from __future__ import annotations

from functools import lru_cache

from werkzeug.http import parse_options_header

from ..errors import NotAcceptable, UnsupportedMediaType
from .request import Request

FHIR_JSON = "application/fhir+json"
JSON_PATCH = "application/json-patch+json"
FORM = "application/x-www-form-urlencoded"
CONTENT_TYPE = f"{FHIR_JSON}; charset=utf-8"

_JSON = {FHIR_JSON, "application/json", "text/json"}
_READABLE = _JSON | {"*/*", "application/*", "text/*"}
# A "+" that a client did not escape in ?_format=application/fhir+json arrives as a blank.
_FORMATS = _JSON | {"json", "application/fhir json", "*/*"}


def check_accept(request: Request) -> None:
    """Refuse a client that reads no JSON; ``_format`` wins over ``Accept``.

    :raises NotAcceptable: names what would do
    """
    wanted = request.parameter("_format")
    if wanted is None:
        wanted = request.headers.get("accept", "")
        acceptable = _accepts_json(wanted)
    else:
        acceptable = wanted.partition(";")[0].strip().lower() in _FORMATS
    if not acceptable:
        raise NotAcceptable(f"this server writes {FHIR_JSON}; got {wanted!r} asked for")


@lru_cache(maxsize=256)
def _accepts_json(header: str) -> bool:
    if not header.strip():
        return True
    return any(kind in _READABLE and options.get("q", "1").rstrip("0") not in ("", "0.") and _is_r4(options)
               for kind, options in map(parse_options_header, header.lower().split(",")))


def check_content_type(request: Request) -> None:
    """Refuse a body that is no FHIR JSON, or for PATCH no JSON Patch; a missing Content-Type is taken as the right one.

    :raises UnsupportedMediaType: names what would do
    """
    header = request.headers.get("content-type", "")
    kinds = {JSON_PATCH} if request.method == "PATCH" else _JSON
    kinds = {FORM} if request.has_form else kinds
    if not _readable(header, frozenset(kinds)):
        headers = {"Accept-Patch": JSON_PATCH} if request.method == "PATCH" else None
        raise UnsupportedMediaType(f"{request.method} {request.path} reads {min(kinds)} in UTF-8; got {header!r}",
                                   headers=headers)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType(f"Content-Encoding: this server reads bodies as they are; got {encoding!r}")


@lru_cache(maxsize=256)
def _readable(header: str, kinds: frozenset[str]) -> bool:
    if not header:
        return True
    kind, options = parse_options_header(header.lower())
    return kind in kinds and options.get("charset", "utf-8") in ("utf-8", "utf8", "us-ascii") and _is_r4(options)


def _is_r4(options: dict[str, str]) -> bool:
    """Whether the ``fhirVersion`` parameter, if there is one, asks for R4."""
    return options.get("fhirversion", "4.0") in ("4.0", "4.0.1")
