"""An ordered list of references to topics: sources add their events, filters narrow what came before.

Spec: the connectathon's extension http://hl7.org/fhir/subscription/topics; the operators are this server's own.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from ...errors import ExpressionFailed, Unprocessable
from ..extensions import OPERATOR, TOPICS
from ..references import relative

if TYPE_CHECKING:
    from .topic import Topic
    from .written import Written

OPERATORS = ("union", "intersect", "except", "filter")
BUILT_IN = "Firehose"
MAX_DEPTH = 8  # compositions of compositions; nobody understands more

# find(reference) -> the topic that it names, None if there is none; knows the built-in one too, see topic.known
Find = Callable[[str], "Topic | None"]
# {id of a topic that fired: the transition that it tells, or None}
Fired = dict[str, "str | None"]


class Step(NamedTuple):
    """One reference of the list.

    :param operator: None until it is known whether the topic is a source (union) or a filter (filter)
    """

    reference: str
    operator: str | None = None

    def operates(self, topic: Topic | None) -> str:
        """What the step does when ``topic`` is what it refers to."""
        return self.operator or ("filter" if topic is None or topic.is_filter else "union")


def reference(topic_id: str) -> str:
    """The reference that names a topic by its id."""
    return f"EventDefinition/{topic_id}" if topic_id != BUILT_IN else topic_id


def read(resource: dict, base_url: str) -> tuple[Step, ...]:
    """The list in the extensions of a Subscription or EventDefinition.

    :raises Unprocessable: an extension is not a reference to an EventDefinition
    """
    return tuple(_step(extension, where, base_url) for where, extension in places(resource))


def places(resource: dict) -> list[tuple[str, dict]]:
    """``(path, extension)`` of each reference: ``("Subscription.extension[0]", {…})``."""
    return [(f"{resource['resourceType']}.extension[{index}]", extension)
            for index, extension in enumerate(resource.get("extension", ())) if extension.get("url") == TOPICS]


def check(steps: Iterable[Step], where: Iterable[str], find: Find, own: str = "") -> None:
    """Refuse a list that could not be evaluated.

    :param where: the path of each step
    :param own: id of the EventDefinition that the list defines
    :raises Unprocessable: an unknown topic, one that is not active, a wrong operator, a circle, or too deep
    """
    heights: dict[str, int] = {}
    for index, (step, at) in enumerate(zip(steps, where, strict=True)):
        topic = find(step.reference)
        if topic is None or topic.status != "active":
            found = topic.status if topic else "none that this server holds as active"
            _refuse(at, "expected an EventDefinition that is active, as EventDefinition/ID, by url(|version) or by "
                        f"name; {step.reference!r} is {found}")
        operator = step.operates(topic)
        if index == 0 and operator != "union":
            _refuse(at, f"the first reference adds events, and {step.reference!r} "
                        + ("is a filter" if topic.is_filter else f"is to {operator}"))
        if operator in ("union", "intersect") and topic.is_filter:
            _refuse(at, f"{step.reference!r} is a filter and has no events of its own; use filter or except")
        if _height(topic, at, find, (own,), heights) > MAX_DEPTH - bool(own):
            _refuse(at, f"composed deeper than {MAX_DEPTH} EventDefinitions")


def fired(steps: Iterable[Step], written: Written, parameters: dict, *, before: bool = False, depth: int = 0) -> Fired:
    """The topics of the list that fired and that its filters let through; empty if none did.

    :param before: filters judge the version before instead of the one written
    :raises ExpressionFailed: what takes events away could not be evaluated, or the list leads in a circle
    """
    if depth > MAX_DEPTH:
        raise ExpressionFailed(f"a composition of EventDefinitions is deeper than {MAX_DEPTH}")
    found: Fired = {}
    for step in steps:
        topic = written.find(step.reference)
        operator = step.operates(topic)
        if topic is None:
            here = None
        elif topic.is_filter:
            here = {} if found and written.holds(topic, parameters, before=before) else None
        else:
            here = source(topic, written, parameters, before=before, depth=depth)
        if operator == "except" and found and written.failed:
            _check_evaluated(step, written)
        found = _combined(found, operator, here, known=topic is not None)
    return found


def source(topic: Topic, written: Written, parameters: dict, *, before: bool = False, depth: int = 0) -> Fired | None:
    """What a source adds, ``{id: transition}``; None if it did not fire."""
    if not topic.sources:
        return {topic.id: written.fired.get(topic.id)} if written.has_fired(topic) else None
    key = (topic.id, before, repr(sorted(parameters.items())))
    if key not in written.combined:     # it may be named many times, also by what it is itself part of
        written.combined[key] = fired(topic.sources, written, parameters, before=before, depth=depth + 1)
    inside = written.combined[key]
    told = set(inside.values())
    return {topic.id: told.pop() if len(told) == 1 else None} if inside else None


def leaves(steps: Iterable[Step], find: Find) -> list[Topic]:
    """The topics that the list refers to in the end, filters included; those that are not known are left out."""
    found: dict[str, Topic] = {}
    level = steps
    for _ in range(MAX_DEPTH + 1):
        topics = [topic for topic in map(find, {step.reference for step in level}) if topic is not None]
        found |= {topic.id: topic for topic in topics}
        level = {step for topic in topics for step in topic.sources}
    return [topic for topic in found.values() if not topic.sources]


def _check_evaluated(step: Step, written: Written) -> None:
    """What could not be evaluated may have fired: nothing is let through that it might have taken away."""
    for topic in leaves([step], written.find):
        if topic.id in written.failed:
            raise ExpressionFailed(f"EventDefinition/{topic.id}, which is to be left out, could not be evaluated: "
                                   f"{written.failed[topic.id]}")


def _step(extension: dict, where: str, base_url: str) -> Step:
    reference = extension.get("valueReference", {}).get("reference")
    if not reference:
        _refuse(f"{where}.valueReference", "expected a reference to an EventDefinition: EventDefinition/ID, its "
                                           "url(|version), or its name")
    at = f"{where}.valueReference.extension"
    operators = [one.get("valueCode") for one in extension["valueReference"].get("extension", ())
                 if one.get("url") == OPERATOR]
    if len(operators) > 1 or operators and operators[0] not in OPERATORS:
        _refuse(at, f"{OPERATOR} expects one valueCode of {', '.join(OPERATORS)}; got {', '.join(map(str, operators))}")
    return Step(relative(reference, base_url), operators[0] if operators else None)


def _combined(found: Fired, operator: str, here: Fired | None, *, known: bool) -> Fired:
    if operator == "union":
        return found | (here or {})
    if operator == "except":
        return found if known and here is None else {}
    if here is None:
        return {}
    return found | here if operator == "intersect" and found else found


def _height(topic: Topic, where: str, find: Find, above: tuple[str, ...], heights: dict[str, int]) -> int:
    """How many compositions deep a topic is; 0 if it is none.

    :param above: ids of those that lead to it
    :param heights: what is known already
    """
    if topic.id in above:
        _refuse(where, f"EventDefinition/{topic.id} is composed of itself")
    if len(above) > MAX_DEPTH + 1 or topic.id in heights:
        return heights.get(topic.id, 0)
    below = [one for one in map(find, topic.uses()) if one is not None]
    inside = (_height(one, where, find, (*above, topic.id), heights) for one in below)
    heights[topic.id] = 1 + max(inside, default=0) if topic.sources else 0
    return heights[topic.id]


def _refuse(where: str, told: str) -> None:
    raise Unprocessable(f"{where}: {told}", expression=where)
