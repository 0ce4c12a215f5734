"""A topic: an EventDefinition that says when something happens to a resource.

Spec: https://hl7.org/fhir/R4/eventdefinition.html, https://hl7.org/fhir/R4/metadatatypes.html#TriggerDefinition
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from ..fhirpath.expression import Expression, Scope
from ..search_values import SearchValues
from . import combination, timing
from .combination import Step
from .data_requirement import DataRequirement
from .needs import ANY
from .transitions import transition
from .trigger import Trigger

if TYPE_CHECKING:
    from .written import Written

# Which writes can be one of these.
_WRITES = {"enter": ("create", "update"), "update": ("update",), "leave": ("update",), "delete": ("delete",)}


@dataclass(frozen=True)
class Topic:
    """An EventDefinition, ready to be tried on changes.

    :ivar id: of the EventDefinition
    :ivar triggers: any of them may fire; of a composition one that never does by itself
    :ivar is_filter: it narrows the events of others and has none of its own
    :ivar sources: what it is composed of, in order
    :ivar transitions: of enter, update, leave, delete; its condition is then a state that a resource gets into and
        out of
    :ivar parameters: names that its condition takes from the Subscription; only of a filter
    """

    id: str
    version_id: str = ""
    name: str = ""
    url: str = ""
    version: str = ""
    status: str = "active"
    triggers: tuple[Trigger, ...] = ()
    is_filter: bool = False
    sources: tuple[Step, ...] = ()
    transitions: frozenset[str] = frozenset()
    parameters: frozenset[str] = frozenset()

    def keys(self, find: Callable[[str], Topic | None]) -> tuple[str, ...]:
        """Which changes it is tried on: ``"Encounter create"``, ``"* read"`` (any), ``"raise ID"``, ``"periodic ID"``.

        A composition has those of its sources, so they change with the definitions that it :meth:`uses`.

        :param find: as of :class:`~.written.Written`
        """
        if self.sources:
            found = {key for topic in combination.leaves(self.sources, known(find)) for key in topic.keys(find)}
        elif self.is_filter:
            found = set()
        else:
            found = {key for trigger in self.triggers for key in self._keys(trigger)}
        return tuple(sorted(found))

    def types(self, find: Callable[[str], Topic | None]) -> frozenset[str]:
        """The resource types that its events are about, ``*`` if they may be about any."""
        if self.sources:
            leaves = combination.leaves(self.sources, known(find))
            return frozenset().union(*(topic.types(find) for topic in leaves if not topic.is_filter))
        return frozenset(kind for trigger in self.triggers for kind in _types(trigger))

    def uses(self) -> tuple[str, ...]:
        """The references that it is composed of, as they are written."""
        return tuple(step.reference for step in self.sources)

    @property
    def sees_previous(self) -> bool:
        """Whether it must be given the version before; a composition leaves that to its sources."""
        return bool(self.transitions) or any(one.looks_back or "delete" in one.interactions for one in self.triggers)

    def fires(self, written: Written) -> str | bool:
        """Whether it fires; a transition if it tells them apart. Use :meth:`.Written.fire`.

        :raises ExpressionFailed: a condition could not be evaluated
        """
        if self.is_filter or written.topic_id not in (None, self.id):
            return False
        if self.transitions and written.topic_id is None:
            told = transition(self._selected(written, before=True), self._selected(written), written.interaction)
            return told if told in self.transitions else False
        subject, scope = written.current or written.previous, state(written, {})
        return subject is not None and any(trigger.selects(subject, scope) for trigger in self.triggers
                                           if written.interaction in trigger.interactions)

    def holds(self, written: Written, parameters: dict, *, before: bool = False) -> bool:
        """Whether a filter lets a change through.

        :param before: judge the version before instead of the one written
        :raises ExpressionFailed: the condition could not be evaluated
        """
        return self._selected(written, parameters, before=before)

    def equality(self, name: str) -> Expression | None:
        """What must be equal to the parameter ``name`` for the filter to hold; None if it is no matter of equality."""
        if len(self.triggers) != 1 or self.triggers[0].condition is None:
            return None
        return next((path for path, of in self.triggers[0].condition.equalities() if of == name), None)

    def next_due(self, after: datetime) -> datetime | None:
        """When the next periodic trigger fires; None if there is none (any more)."""
        due = [timing.next_due(trigger.timing, after) for trigger in self.triggers if trigger.timing is not None]
        return min(filter(None, due), default=None)

    def _keys(self, trigger: Trigger) -> list[str]:
        if trigger.interactions[0] in ("raise", "periodic"):
            return [f"{trigger.interactions[0]} {self.id}"]
        writes = trigger.interactions
        if self.transitions:
            writes = dict.fromkeys(write for told in sorted(self.transitions) for write in _WRITES[told])
        return [f"{kind} {write}" for kind in _types(trigger) for write in writes]

    def _selected(self, written: Written, parameters: dict | None = None, *, before: bool = False) -> bool:
        """Whether one version is what a trigger asks for, whatever was done to it."""
        values = written.previous if before else written.current
        if values is None:
            return False
        scope = state(written, parameters or {}, before=before)
        return any(trigger.selects(values, scope) for trigger in self.triggers)


def state(written: Written, parameters: dict, *, before: bool = False) -> Scope:
    """What a condition sees that judges one version; the version before has none before it that is known."""
    if before:
        return Scope(_resource(written.previous), None, parameters, written.resolve)
    return Scope(_resource(written.current), _resource(written.previous), parameters, written.resolve)


def known(find: Callable[[str], Topic | None]) -> Callable[[str], Topic | None]:
    """``find`` that knows the built-in topic too."""
    return lambda reference: FIREHOSE if reference == FIREHOSE.id else find(reference)


def _types(trigger: Trigger) -> list[str]:
    if trigger.type == "periodic":
        return ["EventDefinition"]
    return [data.type or ANY for data in trigger.data] or [ANY]


def _resource(values: SearchValues | None) -> dict | None:
    return values.resource if values else None


# Every create, update and delete.
FIREHOSE = Topic(combination.BUILT_IN, name=combination.BUILT_IN,
                 triggers=(Trigger("data-changed", (DataRequirement(None),)),))
