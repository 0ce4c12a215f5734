"""What can be wrong with a request, each with its HTTP status and OperationOutcome code.

Spec: https://hl7.org/fhir/R4/http.html, https://hl7.org/fhir/R4/operationoutcome.html
"""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Issue:
    """One ``OperationOutcome.issue``.

    :param diagnostics: the element, what was found, what would do
    :param code: https://hl7.org/fhir/R4/valueset-issue-type.html
    :param expression: FHIRPath of the element, e.g. ``Patient.name[0].given``
    """

    diagnostics: str
    code: str = "invalid"
    expression: str | None = None
    severity: str = "error"


class FHIRSubError(Exception):
    """A refused request; becomes an OperationOutcome at the door.

    :param diagnostics: one sentence for the client
    :param expression: FHIRPath of the offending element
    :param code: issue type, if the class's own does not fit
    :param issues: several issues instead of one sentence
    :param headers: HTTP headers that belong to the answer, such as ``Allow``
    """

    status = 500
    code = "exception"

    def __init__(self, diagnostics="", *, expression=None, code=None, issues=None, headers=None):
        self.headers = headers or {}
        self.issues = tuple(issues) if issues else (Issue(diagnostics, code or self.code, expression),)
        super().__init__("; ".join(issue.diagnostics for issue in self.issues))


class BadRequest(FHIRSubError):
    """400: the request cannot be read at all (syntax, contradicting ids)."""

    status, code = 400, "structure"


class Forbidden(FHIRSubError):
    """403: understood, and not allowed."""

    status, code = 403, "forbidden"


class NotFound(FHIRSubError):
    """404: no such path, resource type, resource or version."""

    status, code = 404, "not-found"


class MethodNotAllowed(FHIRSubError):
    """405: the path exists, the method does not."""

    status, code = 405, "not-supported"


class NotAcceptable(FHIRSubError):
    """406: the asked-for format is not one this server writes."""

    status, code = 406, "not-supported"


class Conflict(FHIRSubError):
    """409: another write came between."""

    status, code = 409, "conflict"


class Gone(FHIRSubError):
    """410: the resource was deleted."""

    status, code = 410, "deleted"


class PreconditionFailed(FHIRSubError):
    """412: If-Match, or a conditional operation that selects several resources."""

    status, code = 412, "conflict"


class TooLarge(FHIRSubError):
    """413: the body, Bundle or nesting is over a limit."""

    status, code = 413, "too-long"


class UnsupportedMediaType(FHIRSubError):
    """415: the body's Content-Type is not one this server reads."""

    status, code = 415, "not-supported"


class Unprocessable(FHIRSubError):
    """422: readable, but against the specification or this server's rules."""

    status, code = 422, "invalid"


class UnsupportedCriteria(Unprocessable):
    """422: a search or criteria that this server cannot evaluate; never ignored."""

    code = "not-supported"


class ExpressionFailed(Unprocessable):
    """422: FHIRPath that could not be evaluated on this resource; the text tells nothing of what the resource holds."""

    code = "processing"


class Unavailable(FHIRSubError):
    """503: the database cannot be reached; nothing was stored."""

    status, code = 503, "transient"


class StorageError(Exception):
    """The database is unreachable or refused; nothing was changed."""


class Deadlock(StorageError):
    """Another transaction and this one waited for each other; nothing was changed, and a second try may go well."""
