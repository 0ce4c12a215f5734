"""$replay: POST [base]/Subscription/[id]/$replay, events are sent again, or those that were parked are sent after all.

Spec: https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/parameters.html
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...delivery.replay import Asked, redrive, replay
from ...errors import Conflict, Gone, NotFound, Unprocessable
from ...fhir import json, validation
from ...fhir.instants import parse_instant
from ..request import Request, Response
from ..server import Server
from .writing import Write

_EXPECTED = "since and until (valueInstant), or from and to (valuePositiveInt), or parked (valueBoolean true)"
_VALUES = {"since": "valueInstant", "until": "valueInstant", "from": "valuePositiveInt", "to": "valuePositiveInt",
           "parked": "valueBoolean"}
_KINDS = ({"since", "until"}, {"from", "to"}, {"parked"})


class Replay(Write):
    """What a Subscription is to be notified of again, under the old event numbers and ``webhook-id``."""

    rank = 5    # after the writes of the same transaction

    def __init__(self, server: Server, request: Request):
        super().__init__(server, request)
        validation.check(request.resource, "Parameters")
        self.asked = _asked(request.resource)
        self.count = 0

    @property
    def changes(self) -> bool:
        """It writes no version."""
        return False

    def run(self, tx: Any, now: datetime) -> bool:
        """Put it before what else is to be sent.

        :raises NotFound, Gone: of the Subscription
        :raises Conflict: it is off, not switched on yet, or a replay of it is under way
        :raises Unprocessable: what is asked is not kept any more, or too much
        """
        if self.current is None:
            raise NotFound(f"there is no {self.reference}")
        if self.current.deleted:
            raise Gone(f"{self.reference} was deleted as version {self.current.version_id}")
        if self.current.resource["status"] == "off":
            raise Conflict(f"{self.reference} is off: request it again first, then replay")
        if self.asked is None:
            self.count = redrive(tx, self.id, now=now)
        else:
            self.count = replay(tx, self.id, self.asked, self.server.config, now=now)
        return False

    def answer(self) -> Response:
        parameters = {"resourceType": "Parameters", "parameter": [{"name": "events", "valueUnsignedInt": self.count}]}
        return Response(202, json.encode(parameters))


def _asked(parameters: dict) -> Asked | None:
    """What to replay; None: what is parked.

    :raises Unprocessable: not one of the three ways to say it
    """
    found: dict[str, Any] = {}
    for index, parameter in enumerate(parameters.get("parameter", ())):
        name, where = parameter["name"], f"Parameters.parameter[{index}]"
        if name in found or _VALUES.get(name) not in parameter:
            raise Unprocessable(f"{where}: expected {_EXPECTED}; got {name!r} {_given(parameter)}", expression=where)
        value = parameter[_VALUES[name]]
        found[name] = parse_instant(value) if name in ("since", "until") else value
    if not found or not any(found.keys() <= kind for kind in _KINDS) or found.get("parked") is False:
        raise Unprocessable(f"Parameters.parameter: expected {_EXPECTED}; got {', '.join(found) or 'none of them'}",
                            expression="Parameters.parameter", code="required")
    if "parked" in found:
        return None
    for first, last in (("from", "to"), ("since", "until")):
        if first in found and last in found and found[first] > found[last]:
            raise Unprocessable(f"Parameters.parameter: expected {first} not to be after {last}; got {found[first]} "
                                f"and {found[last]}", expression="Parameters.parameter", code="value")
    return Asked(found.get("from"), found.get("to"), found.get("since"), found.get("until"))


def _given(parameter: dict) -> str:
    return " ".join(name for name in parameter if name != "name") or "without a value"
