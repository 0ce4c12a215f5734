"""patch: PATCH [base]/[type]/[id] with a JSON Patch, also conditional by a search.

Spec: https://hl7.org/fhir/R4/http.html#patch
"""
from __future__ import annotations

from base64 import b64decode
from datetime import datetime
from typing import Any

from ...errors import BadRequest, Gone, NotFound, UnsupportedMediaType
from ...fhir import json, patch
from ...store import versions
from ...store.versions import Version
from ..negotiation import JSON_PATCH
from ..preconditions import check_match
from ..request import Request, Response
from ..server import Server
from .conditions import condition, matches
from .writing import Overtaken, Write


class Patch(Write):
    """The current version with a patch applied.

    It is applied and validated outside the transaction, to the version that is current then; should another version be
    there once the resource is locked, all of it is done again.
    """

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        if not self.id:
            self.condition = condition(self.type, request.query, request.base_url)
        self.patched = self._current()
        check_match(request, self.patched, server.config.require_if_match)
        operations = _operations(request.resource) if request.where else request.resource
        self.prepare(patch.apply(self.patched.resource, operations, server.config.max_body_bytes))

    def select(self, ids: list[str]) -> None:
        super().select(ids)
        if self.id != self.patched.id:
            raise Overtaken

    def run(self, tx: Any, now: datetime) -> bool:
        self.check_match()
        if self.current is None or self.current.version_id != self.patched.version_id:
            raise Overtaken
        return True

    def answer(self) -> Response:
        return self.written(self.version, 200)

    def _current(self) -> Version:
        """The version to patch.

        :raises NotFound: there is none
        :raises Gone: it was deleted
        """
        with self.server.database.read() as tx:
            if self.condition:
                super().select(matches(tx, self.condition))
            current = versions.current(tx, self.type, self.id) if self.id else None
        if current is None:
            raise NotFound(f"there is no {self.reference} to patch" if self.id else
                           f"the condition selects no {self.type} to patch")
        if current.deleted:
            raise Gone(f"{self.reference} was deleted; a PUT brings it back")
        return current


def _operations(resource: Any) -> Any:
    """The JSON Patch that a Bundle entry carries, as the data of a Binary."""
    if not isinstance(resource, dict) or resource.get("contentType") != JSON_PATCH:
        raise UnsupportedMediaType(f"a PATCH carries a Binary with contentType {JSON_PATCH}",
                                   expression="Binary.contentType")
    try:
        data = b64decode(resource.get("data", ""), validate=True)
    except (TypeError, ValueError):
        raise BadRequest("Binary.data: expected base64", expression="Binary.data") from None
    return json.decode(data)
