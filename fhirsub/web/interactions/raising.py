"""$raise: POST [base]/EventDefinition/[id]/$raise, an event happened that the server cannot see in a write.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/triggerdefinition.html
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...errors import Gone, NotFound, Unprocessable
from ...fhir import validation
from ...fhir.topics import read
from ...store import versions
from ...subscriptions import raising
from ..outcomes import information
from ..request import Request, Response
from ..server import Server
from .writing import Write

_EXPECTED = "focus (valueReference, once) and context (valueReference, any number)"


class Raise(Write):
    """The event of one EventDefinition, about the resource that the Parameters name as ``focus``."""

    rank = 5    # after the writes of the same transaction, whose resources it may be about

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        validation.check(request.resource, "Parameters")
        _references(request.resource)
        self.resource = request.resource
        self.recorded = ""

    @property
    def changes(self) -> bool:
        """It writes no version."""
        return False

    @property
    def locks(self) -> bool:
        """No: the log of changes takes any number of writers."""
        return False

    def run(self, tx: Any, now: datetime) -> bool:
        """Record the event.

        :raises NotFound, Gone: of the EventDefinition
        :raises Unprocessable: it fires by itself, or the focus is not here
        """
        stored = versions.current(tx, self.type, self.id)
        if stored is None:
            raise NotFound(f"there is no {self.reference}")
        if stored.deleted:
            raise Gone(f"{self.reference} was deleted as version {stored.version_id}")
        focus, context = _references(self.resource)
        topic = read(stored.resource, stored.base_url or "")
        seq = raising.raise_own(tx, topic, focus, context=context, base_url=self.request.base_url, now=now)
        self.recorded = f"{self.reference} about {focus} is recorded as change {seq}"
        return False

    def answer(self) -> Response:
        return Response(202, information(self.recorded), outcome=True)


def _references(parameters: dict) -> tuple[str, list[str]]:
    """The focus and the context.

    :raises Unprocessable: a parameter is missing, of another name or no reference
    """
    found: dict[str, list[str]] = {"focus": [], "context": []}
    for index, parameter in enumerate(parameters.get("parameter", ())):
        reference = parameter.get("valueReference", {}).get("reference")
        if parameter["name"] not in found or not reference:
            raise Unprocessable(f"Parameters.parameter[{index}]: expected {_EXPECTED}; got {parameter['name']!r}",
                                expression=f"Parameters.parameter[{index}]")
        found[parameter["name"]].append(reference)
    if len(found["focus"]) != 1:
        raise Unprocessable(f"Parameters.parameter: expected {_EXPECTED}; got {len(found['focus'])} times focus",
                            expression="Parameters.parameter", code="required")
    return found["focus"][0], found["context"]
