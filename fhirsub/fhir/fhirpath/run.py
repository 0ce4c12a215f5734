"""One evaluation by closures: the versions and values it sees, and the steps it may take."""
from __future__ import annotations

import time
from typing import Any, NamedTuple

from ...errors import ExpressionFailed
from .vetting import CONSTANTS

# JSON values, each with its type; "" is a value of FHIRPath itself.
Collection = list
# A step takes a microsecond or less. A Bundle of 1,000 entries is walked twenty times over.
MAX_STEPS = 50_000
# Of processor time, here and in the sandbox.
DEADLINE_S = 0.1
TOO_COSTLY = "too-costly"   # https://hl7.org/fhir/R4/valueset-issue-type.html
# A look at the clock costs as much as a step.
_LOOK = 32
# What a trigger asks for is one or two; each may be a query.
MAX_RESOLVED = 100


class Beyond(Exception):
    """Only the full engine can tell."""


class Scope(NamedTuple):
    """What one evaluation sees.

    :param current: the version just written; None on a delete
    :param previous: the version before; None on a create
    :param parameters: values of the ``%name`` that are not built in
    :param resolve: ``resolve("Patient/1")`` is that resource in this server, or None
    """

    current: dict | None
    previous: dict | None = None
    parameters: dict[str, Any] = {}
    resolve: Any = None

    @property
    def resource(self) -> dict | None:
        """What ``$this`` and ``%resource`` begin at."""
        return self.previous if self.current is None else self.current


class Run:
    """The :class:`Scope` as collections."""

    __slots__ = ("current", "previous", "resource", "_scope", "_steps", "_resolved", "_spendings", "_begun")

    def __init__(self, scope: Scope):
        self.current = [node(scope.current, "")] if scope.current is not None else []
        self.previous = [node(scope.previous, "")] if scope.previous is not None else []
        self.resource = self.current or self.previous
        self._scope = scope
        self._steps = self._resolved = self._spendings = 0
        self._begun: float | None = None

    def spend(self, steps: int) -> None:
        self._steps += steps + 1
        if self._steps > MAX_STEPS:
            raise _too_costly(f"takes more than {MAX_STEPS} steps")
        self._spendings += 1
        if self._spendings % _LOOK == 0:
            self._look_at_the_clock()

    def _look_at_the_clock(self) -> None:
        now = time.thread_time()
        if self._begun is None:
            self._begun = now
        if now - self._begun > DEADLINE_S:
            raise _too_costly(f"takes more than {DEADLINE_S * 1000:.0f} ms")

    def value(self, name: str) -> Collection:
        """The value of ``%name``."""
        if name in CONSTANTS:
            return [(CONSTANTS[name], "")]
        value = parameter(self._scope, name)
        return [(one, "") for one in value] if isinstance(value, list) else [(value, "")] if value is not None else []

    def resolved(self, value: Any) -> list[dict]:
        """The resource that a Reference, canonical or uri leads to, if it is in this server."""
        self._resolved += 1
        if self._resolved > MAX_RESOLVED:
            raise _too_costly(f"resolves more than {MAX_RESOLVED} references")
        self._begun = None      # what others do while this waits is not its own time
        return resolved(value, self._scope)


def _too_costly(what: str) -> ExpressionFailed:
    return ExpressionFailed(f"the expression {what} on this resource; narrow its paths", code=TOO_COSTLY)


def parameter(scope: Scope, name: str) -> Any:
    if name not in scope.parameters:
        raise ExpressionFailed(f"%{name} has no value here")
    return scope.parameters[name]


def resolved(value: Any, scope: Scope) -> list[dict]:
    """What a reference leads to: a contained resource, or one in this server; nothing is fetched from elsewhere."""
    reference = value.get("reference") if isinstance(value, dict) else value
    if not isinstance(reference, str):
        return []
    if reference.startswith("#"):
        contained = (scope.resource or {}).get("contained") or []
        return [one for one in contained if isinstance(one, dict) and one.get("id") == reference[1:]]
    found = scope.resolve(reference) if scope.resolve else None
    return [found] if found is not None else []


def node(value: Any, kind: str) -> tuple[Any, str]:
    """A value with its type; a resource tells its own."""
    return value, value.get("resourceType", kind) if type(value) is dict and kind in ("", "Resource") else kind


def nodes(value: Any, kind: str) -> Collection:
    """What stands under a JSON key; an array may be padded with null."""
    values = value if type(value) is list else (value,)
    return [node(one, kind) for one in values if one is not None]
