"""A question: what any number of Subscriptions ask alike, by criteria, compartments, events and transitions.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import json
from ..criteria import Criteria, parse
from . import combination, filing
from .combination import Find, Fired, Step
from .transitions import DELETE, ENTER, LEAVE, UPDATE, transition
from .written import WRITES, Written


class Match(NamedTuple):
    """That a change is an event of a question.

    :param transition: ``enter`` | ``update`` | ``leave`` | ``delete``; None where the question does not tell them apart
    :param topics: ids of the EventDefinitions that fired
    """

    transition: str | None = None
    topics: tuple[str, ...] = ()


# Shared, for most matches say no more.
_MATCHED = Match()


@dataclass(frozen=True)
class Question:
    """What a Subscription asks.

    :ivar criteria: narrows by the resource's own values; None if it was a compartment
    :ivar topics: the events asked for, in order, each as ``EventDefinition/ID`` with its operator; none: all writes
    :ivar compartments: the resource must be in one of these, ``Patient/1`` or ``Group/5``, if there are any
    :ivar parameters: ``(name, value)`` for the filters among the topics
    :ivar transitions: of enter, update, leave, delete; none: R4's own, every version that matches as it is written
    """

    criteria: Criteria | None = None
    topics: tuple[Step, ...] = ()
    compartments: tuple[str, ...] = ()
    parameters: tuple[tuple[str, Any], ...] = ()
    transitions: frozenset[str] = frozenset()

    @property
    def plain(self) -> bool:
        """Whether it asks no more than R4's own Subscription can."""
        return not (self.topics or self.compartments or self.transitions) and self.criteria is not None

    def canonical(self) -> str:
        """Text that :func:`read` reads; equal questions give equal text. Plain R4 criteria stay plain text."""
        criteria = self.criteria.canonical() if self.criteria else None
        if self.plain:
            return criteria
        parts = {"compartments": sorted(self.compartments), "criteria": criteria, "parameters": sorted(self.parameters),
                 "topics": self.topics, "transitions": sorted(self.transitions)}
        return json.encode({name: part for name, part in parts.items() if part}).decode()

    def keys(self, find: Find) -> tuple[str, ...]:
        """Where it is filed; changes with the definitions that it uses.

        :param find: as of :class:`~.written.Written`; a question without topics never asks
        """
        return filing.keys(self, find)

    def needs(self, find: Find) -> tuple[str, ...]:
        """What must be known of changes beyond their values, for :class:`~.needs.Needs`; changes as :meth:`keys`."""
        return filing.needs(self, find)

    def test(self, written: Written) -> Match | None:
        """The match, or None.

        :raises ExpressionFailed: a filter could not be evaluated
        """
        if self.plain:
            at_once = written.interaction in ("create", "update") and self.criteria.test(written.current)
            return _MATCHED if at_once else None
        if written.interaction not in WRITES and (self.transitions or not self.topics):
            return None     # what is no write leads from no state to another
        now, before = self._fired(written), None
        if now is not None and not self.transitions and not any(now.values()):
            return Match(None, tuple(now))
        if self.transitions or written.interaction == "delete" or any(written.fired.values()):
            before = self._fired(written, before=True)
        told = transition(before is not None, now is not None, written.interaction)
        if told is None or not self._asks_for(told, before):
            return None
        return Match(told, tuple(before if now is None else now))

    def _asks_for(self, told: str, before: Fired | None) -> bool:
        if self.transitions:
            return told in self.transitions
        if told == LEAVE:
            return LEAVE in before.values()     # only where the topic itself says so
        return told != DELETE or bool(self.topics)

    def _fired(self, written: Written, *, before: bool = False) -> Fired | None:
        """The topics that fired for one version; None if the version is not what is asked for."""
        values = written.previous if before else written.current
        if values is None or self.criteria is not None and not self.criteria.test(values):
            return None
        if self.compartments and not self._is_inside(written, before):
            return None
        if not self.topics:
            return {}
        fired = combination.fired(self.topics, written, dict(self.parameters), before=before)
        # A topic may say itself that this version is not, or no longer, in the state that it is about.
        other_side = (ENTER,) if before else (LEAVE, DELETE)
        return {id: told for id, told in fired.items() if told not in other_side} or None

    def _is_inside(self, written: Written, before: bool) -> bool:
        inside = written.compartments(before=before)
        if not inside.isdisjoint(self.compartments):
            return True
        sets = {one for one in self.compartments if one.startswith(filing.SETS)}
        return bool(sets) and any(not sets.isdisjoint(written.sets(one)) for one in inside)


def read(text: str) -> Question:
    """The question of a stream, from :meth:`Question.canonical`."""
    if not text.startswith("{"):
        return Question(parse(text, chains=True))
    parts = json.decode(text)
    return Question(
        parse(parts["criteria"], chains=True) if "criteria" in parts else None,
        tuple(Step(*step) for step in parts.get("topics", ())), tuple(parts.get("compartments", ())),
        tuple((name, value) for name, value in parts.get("parameters", ())), frozenset(parts.get("transitions", ())))
