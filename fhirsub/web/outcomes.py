"""What went wrong, or right, as an OperationOutcome response.

Spec: https://hl7.org/fhir/R4/http.html#2.21.0.4, https://hl7.org/fhir/R4/operationoutcome.html
"""
from __future__ import annotations

import logging

from werkzeug.exceptions import HTTPException

from ..errors import (BadRequest, FHIRSubError, Issue, MethodNotAllowed, NotFound, StorageError, TooLarge, Unavailable,
                      UnsupportedMediaType)
from ..fhir import json
from ..fhir.outcome import outcome, outcome_of
from .request import Response

log = logging.getLogger("fhirsub.web")

RETRY_AFTER_S = 5   # a database that restarts is back by then, or after a second try
_OF_HTTP = {error.status: error for error in (BadRequest, NotFound, MethodNotAllowed, TooLarge, UnsupportedMediaType)}


def information(text: str, severity: str = "information", code: str = "informational") -> bytes:
    """An OperationOutcome that says ``text``, as JSON text."""
    return json.encode(outcome([Issue(text, code, severity=severity)]))


def failure(error: Exception) -> Response:
    """The response to an exception; one that nobody foresaw is logged and tells the client nothing of its inside."""
    if isinstance(error, StorageError):
        log.error("the database failed: %s", error)
        error = Unavailable("the database cannot be reached; nothing was stored, try again later")
    elif isinstance(error, HTTPException):
        error = _OF_HTTP.get(error.code, BadRequest)(error.description or error.name)
    elif not isinstance(error, FHIRSubError):
        log.error("a request failed", exc_info=error)
        error = FHIRSubError("the server failed on this request; its log says why")
    response = Response(error.status, json.encode(outcome_of(error)), outcome=True, headers=dict(error.headers))
    if error.status == Unavailable.status:
        response.headers["Retry-After"] = str(RETRY_AFTER_S)
    return response
