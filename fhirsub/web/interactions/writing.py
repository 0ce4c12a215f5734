"""The one path that every write takes: create, update, patch and delete, by HTTP or in a Bundle, conditional or not.

Outside the transaction the resource is validated and its door asked; inside it conditions are resolved, the resource is
locked and preconditions are held to, and only then is the version written, which records the change: see
:mod:`.committing`, which does each of these for all writes of a transaction together.

Spec: https://hl7.org/fhir/R4/http.html
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...errors import PreconditionFailed
from ...fhir import validation
from ...fhir.criteria import Criteria
from ...fhir.search_values import SearchValues
from ...store.versions import Name, Version
from ..outcomes import information
from ..preconditions import check_match
from ..request import Request, Response, answer
from ..server import Server
from .conditions import matches


class Overtaken(Exception):
    """Another write came between what was prepared and the transaction; prepare again."""


class Write:
    """A write under way: made outside a transaction, then selected, locked and run inside one, and answered.

    :ivar rank: when it runs inside a transaction Bundle: DELETE 0, POST 1, PUT and PATCH 2; see :attr:`turn`
    :ivar condition: the search that selects the resource of a conditional interaction
    :ivar selected: whether the condition selected a resource
    :ivar id: of the resource; empty until a condition has selected it
    :ivar resource: what is to be written; None for a delete
    :ivar current: the version there is, locked; None if there never was one
    :ivar version: the version that it wrote; None until then, or if it writes none
    """

    rank = 2

    def __init__(self, server: Server, request: Request):
        self.server = server
        self.request = request
        self.type = request.type
        self.id = request.id
        self.condition: Criteria | None = None
        self.selected = False
        self.resource: dict | None = None
        self.current: Version | None = None
        self.version: Version | None = None
        self._values: SearchValues | None = None

    @property
    def reference(self) -> str:
        return f"{self.type}/{self.id}"

    @property
    def name(self) -> Name:
        return self.type, self.id

    @property
    def turn(self) -> int:
        """When it runs inside a transaction Bundle: what its door looks up may be written by another entry."""
        door = self.server.doors.get(self.type)
        return max(self.rank, getattr(door, "rank", 0)) if self.resource is not None else self.rank

    @property
    def alone(self) -> bool:
        """Whether what the writes of the same turn before it have stored must be there: its door may look for that."""
        return self.resource is not None and getattr(self.server.doors.get(self.type), "one_by_one", False)

    @property
    def changes(self) -> bool:
        """Whether it writes at all; a conditional interaction may find that there is nothing to do."""
        return bool(self.id)

    @property
    def locks(self) -> bool:
        """Whether its resource is to be held, existing or not, to the end of the transaction."""
        return bool(self.id)

    @property
    def exists(self) -> bool:
        """Whether there is a resource that is not deleted; known once it is locked."""
        return self.current is not None and not self.current.deleted

    @property
    def values(self) -> SearchValues:
        """What a search will find in the resource once it is written."""
        if self._values is None or self._values.resource is not self.resource:
            self._values = SearchValues(self.resource, self.request.base_url)
        return self._values

    def prepare(self, resource: Any) -> None:
        """Validate the resource and ask its door, before the transaction."""
        door = self.server.doors.get(self.type)
        validation.check(door.fill(resource) if door and isinstance(resource, dict) else resource, self.type)
        if door:
            door.check(resource, config=self.server.config, base_url=self.request.base_url)
        self.resource = resource

    def select(self, ids: list[str]) -> None:
        """Take the resource that the condition selects.

        :param ids: those that match; two suffice to say that there are several
        :raises PreconditionFailed: there are several
        """
        if len(ids) > 1:
            raise PreconditionFailed(f"the condition selects several {self.type} resources and may select one; "
                                     "add a parameter that tells them apart", code="multiple-matches")
        self.selected = bool(ids)
        self.id = ids[0] if ids else ""

    def locked(self, tx: Any, current: Version | None) -> None:
        """Its resource is held.

        :raises Overtaken: it was changed since the condition selected it
        """
        self.current = current
        if self.selected and not self._still_selected(tx):
            raise Overtaken

    def run(self, tx: Any, now: datetime) -> bool:
        """Do all of it except to write a version.

        :returns: whether there is one to write
        """
        raise NotImplementedError

    def answer(self) -> Response:
        """What the client is told once all is done."""
        raise NotImplementedError

    def check_match(self) -> None:
        check_match(self.request, self.current, self.server.config.require_if_match)

    def written(self, version: Version, status: int) -> Response:
        """The response to a write, as ``Prefer: return`` wants it."""
        response = answer(version, self.request.base_url, status)
        wanted = self.request.preferences.get("return")
        if wanted == "minimal":
            response.body = b""
        elif wanted == "OperationOutcome":
            response.body, response.outcome = information(f"{self.reference} is now version {version.version_id}"), True
        return response

    def _still_selected(self, tx: Any) -> bool:
        if self.exists and self.condition.alone:
            return self.condition.test(SearchValues(self.current.resource, self.request.base_url))
        return self.exists and self.id in matches(tx, self.condition)
