"""delete: DELETE [base]/[type]/[id], also conditional by a search.

Spec: https://hl7.org/fhir/R4/http.html#delete, https://hl7.org/fhir/R4/http.html#3.1.0.7.1
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ..outcomes import information
from ..preconditions import check_match
from ..request import Request, Response, etag
from ..server import Server
from .conditions import condition
from .writing import Write


class Delete(Write):
    """A last version without content; what is deleted already, or never was, stays as it is."""

    rank = 0

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        if not self.id:
            self.condition = condition(self.type, request.query, request.base_url)

    def run(self, tx: Any, now: datetime) -> bool:
        check_match(self.request, self.current)
        return self.exists

    def answer(self) -> Response:
        if self.version is None:
            return self._done("there was nothing to delete")
        response = self._done(f"{self.reference} is deleted as of version {self.version.version_id}")
        response.etag = etag(self.version)
        return response

    def _done(self, text: str) -> Response:
        if self.request.preferences.get("return") != "OperationOutcome":
            return Response(204)
        return Response(200, information(text), outcome=True)
