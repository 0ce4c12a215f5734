"""create: POST [base]/[type], also conditional with If-None-Exist.

Spec: https://hl7.org/fhir/R4/http.html#create, https://hl7.org/fhir/R4/http.html#ccreate
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...store import versions
from ..request import Request, Response, pairs
from ..server import Server
from .conditions import condition
from .writing import Overtaken, Write


class Create(Write):
    """A new resource under an id of ours; the client's ``id``, ``versionId`` and ``lastUpdated`` are ignored."""

    rank = 1

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        self.id = server.new_id()
        resource = request.resource
        self.prepare(resource | {"id": self.id} if isinstance(resource, dict) else resource)
        if (header := request.headers.get("if-none-exist")) is not None:
            query = header.strip().removeprefix(self.type).removeprefix("?")    # some clients send all of Patient?…
            self.condition = condition(self.type, pairs(query), request.base_url)

    @property
    def changes(self) -> bool:
        return not self.selected

    def select(self, ids: list[str]) -> None:
        new_id = self.id
        super().select(ids)
        self.id = self.id or new_id

    @property
    def alone(self) -> bool:
        """Also if the condition found something: another entry may have just created it."""
        return self.selected or super().alone

    @property
    def locks(self) -> bool:
        """No: nobody else knows the new id, and what was found is not written."""
        return False

    def run(self, tx: Any, now: datetime) -> bool:
        if self.selected:
            self.current = versions.current(tx, self.type, self.id)
            if not self.exists:
                raise Overtaken
        return not self.selected

    def answer(self) -> Response:
        return self.written(self.current, 200) if self.selected else self.written(self.version, 201)
