"""FHIR over HTTP: from a Flask request to an interaction, and back.

Spec: https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

import re

import flask
import msgspec
from werkzeug.http import http_date
from werkzeug.routing import BaseConverter

from ..errors import TooLarge
from .negotiation import CONTENT_TYPE, JSON_PATCH, check_accept, check_content_type
from .outcomes import failure
from .request import Request, Response, pairs
from .routes import allowed, find, run
from .server import Server

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,200}")


class _AnyPath(BaseConverter):
    """Whatever follows the base: nothing, or with slashes anywhere."""

    regex = ".*?"
    part_isolating = False
    weight = 300    # after every other rule, such as the websocket's


def blueprint(server: Server) -> flask.Blueprint:
    """The FHIR base of ``server``, to be registered in a Flask application.

    Whatever is asked below the base, and goes wrong, is answered with an OperationOutcome; outside it nothing changes.
    """
    made = flask.Blueprint("fhirsub", __name__, url_prefix=server.config.base_path.rstrip("/") or None)

    def serve(path: str = "") -> flask.Response:
        return _sent(_answer(server, _request(server, path)))

    def mount(state: flask.blueprints.BlueprintSetupState) -> None:
        # Flask's own rules take a list of methods; anything else is answered in HTML before a blueprint hears of it.
        app, prefix, endpoint = state.app, state.url_prefix or "", f"{state.name}.serve"
        app.url_map.converters["fhirsub_path"] = _AnyPath
        for path in [prefix] * bool(prefix) + [f"{prefix}/<fhirsub_path:path>"]:
            app.url_map.add(app.url_rule_class(path, endpoint=endpoint, methods=None, merge_slashes=False))
        app.view_functions[endpoint] = serve

    made.record(mount)
    made.register_error_handler(Exception, lambda error: _sent(failure(error)))
    return made


def _request(server: Server, path: str) -> Request:
    """The Flask request as ours; its body is read later, when its headers are known to be right."""
    asked = flask.request
    base_url = server.config.base_url or asked.root_url.rstrip("/") + server.config.base_path
    headers = {name.lower(): value for name, value in asked.headers}
    return Request(asked.method, path.rstrip("/"), base_url.rstrip("/"), pairs(asked.query_string), headers)


def _answer(server: Server, request: Request) -> Response:
    check_accept(request)
    if request.method == "OPTIONS":
        return Response(204, headers={"Allow": allowed(server, request), "Accept-Patch": JSON_PATCH})
    route = find(server, request)   # 404 and 405 come before what is wrong with a body
    if request.method in ("POST", "PUT", "PATCH"):
        check_content_type(request)
        _read_body(request, server.config.max_body_bytes)
    return run(server, request, route)


def _read_body(request: Request, limit_bytes: int) -> None:
    asked = flask.request
    asked.max_content_length = limit_bytes + 1  # where a body that comes in chunks is cut, without a word
    too_large = (asked.content_length or 0) > limit_bytes
    request.body = b"" if too_large else asked.get_data(cache=False)
    if too_large or len(request.body) > limit_bytes:
        raise TooLarge(f"this server takes bodies of up to {limit_bytes} bytes")
    if request.has_form:
        request.query += pairs(request.body)


def _sent(response: Response) -> flask.Response:
    body, asked = response.body, flask.request
    if body and b"_pretty=true" in asked.query_string:
        body = msgspec.json.format(body, indent=2)
    sent = flask.Response(body, response.status, response.headers, content_type=CONTENT_TYPE)
    if not body:
        del sent.headers["Content-Type"]
    if response.etag:
        sent.headers["ETag"] = response.etag
    if response.last_modified:
        sent.headers["Last-Modified"] = http_date(response.last_modified)
    if response.location:
        new = response.status == 201 or asked.method == "POST"
        sent.headers["Location" if new else "Content-Location"] = response.location
    if _REQUEST_ID.fullmatch(request_id := asked.headers.get("X-Request-Id", "")):
        sent.headers["X-Request-Id"] = request_id
    return sent
