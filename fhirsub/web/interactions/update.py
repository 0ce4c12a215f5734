"""update: PUT [base]/[type]/[id], also the first write of an id that the client chose, and conditional by a search.

Spec: https://hl7.org/fhir/R4/http.html#update, https://hl7.org/fhir/R4/http.html#cond-update
"""
from __future__ import annotations

import re
from datetime import datetime
from typing import Any

from ...errors import BadRequest, Conflict, MethodNotAllowed
from ..request import Request, Response
from ..server import Server
from .conditions import condition
from .writing import Write

_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


class Update(Write):
    """The next version of a resource, or its first."""

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        resource = request.resource
        self.body_id = resource.get("id") if isinstance(resource, dict) else None
        if self.id:
            self._check_id()
        else:
            self.condition = condition(self.type, request.query, request.base_url)
            self.new_id = self.body_id or server.new_id()
        self.prepare(resource)

    def select(self, ids: list[str]) -> None:
        """Update the one that matches, or create one.

        :raises BadRequest: the body has another id than the one that matches
        """
        super().select(ids)
        if ids and self.body_id not in (None, self.id):
            raise BadRequest(f"{self.type}.id: the condition selects {self.id!r}, but the body has {self.body_id!r}; "
                             "leave the id out", expression=f"{self.type}.id")
        self.id = self.id or self.new_id
        self.resource = {"resourceType": self.type, **self.resource, "id": self.id}

    def run(self, tx: Any, now: datetime) -> bool:
        self.check_match()
        if self.condition and not self.selected and self.exists:
            raise Conflict(f"the condition selects nothing, and {self.reference} exists already; leave the id out")
        if not self.exists and not self.server.config.update_creates:
            raise MethodNotAllowed(f"{self.reference} does not exist, and this server chooses the ids itself: "
                                   f"POST to {self.type}", headers={"Allow": "GET, HEAD, OPTIONS"})
        return True

    def answer(self) -> Response:
        return self.written(self.version, 200 if self.exists else 201)

    def _check_id(self) -> None:
        if not _ID.fullmatch(self.id):
            raise BadRequest(f"{self.id!r} is no id: 1 to 64 letters, digits, - and .", code="value")
        if self.body_id != self.id:
            raise BadRequest(f"{self.type}.id: must be {self.id!r} as in the URL; got {self.body_id!r}",
                             expression=f"{self.type}.id")
