"""From an EventDefinition to a :class:`~.topic.Topic`.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

from ...errors import FHIRSubError, Issue, Unprocessable
from ..extensions import FILTER
from . import combination, transitions, trigger
from .topic import Topic
from .trigger import Trigger

MAX_TRIGGERS = 100  # each condition is compiled and tried while everybody else waits
MAX_DATA = 1_000    # of all triggers: each is compiled, and tested with every write of its type


def read(definition: dict, base_url: str = "") -> Topic:
    """The topic that an EventDefinition defines.

    What it is composed of is not looked up here: the door checks that with :func:`.combination.check`.

    :param definition: ``{"resourceType": "EventDefinition", "id": str, "trigger": […], …}``, validated as R4
    :raises Unprocessable: an issue for each element that is wrong: ``EventDefinition.trigger[0].condition.expression``
    """
    _check_size(definition["trigger"])
    is_filter = _is_filter(definition)
    issues: list[Issue] = []
    triggers: list[Trigger] = []
    for index, given in enumerate(definition["trigger"]):
        try:
            triggers.append(trigger.read(given, f"EventDefinition.trigger[{index}]", parameters=is_filter))
        except FHIRSubError as error:
            issues += error.issues
    if issues:
        raise Unprocessable(issues=issues)
    topic = Topic(
        definition.get("id", ""), definition.get("meta", {}).get("versionId", ""), definition.get("name", ""),
        definition.get("url", ""), definition.get("version", ""), definition.get("status", ""), tuple(triggers),
        is_filter, combination.read(definition, base_url), transitions.read(definition),
        frozenset().union(*(one.condition.parameters for one in triggers if one.condition)))
    _check(topic)
    return topic


def _check_size(triggers: list[dict]) -> None:
    if len(triggers) > MAX_TRIGGERS:
        _refuse("EventDefinition.trigger", f"expected at most {MAX_TRIGGERS}; got {len(triggers)}", code="too-costly")
    count = sum(len(one.get("data", ())) for one in triggers)
    if count > MAX_DATA:
        _refuse("EventDefinition.trigger.data", f"expected at most {MAX_DATA} in all; got {count}", code="too-costly")


def _is_filter(definition: dict) -> bool:
    for index, extension in enumerate(definition.get("extension", ())):
        if extension.get("url") == FILTER:
            if "valueBoolean" not in extension:
                _refuse(f"EventDefinition.extension[{index}]", f"{FILTER} expects a valueBoolean")
            return extension["valueBoolean"]
    return False


def _check(topic: Topic) -> None:
    """Triggers, sources, transitions and filter must go together."""
    if combination.BUILT_IN in (topic.id, topic.name):
        _refuse("EventDefinition.name", f"{combination.BUILT_IN} is the built-in event of every write; choose another")
    alone = len(topic.triggers) == 1 and topic.triggers[0].raised and not topic.triggers[0].data
    if topic.sources and (topic.is_filter or topic.transitions or not alone):
        _refuse("EventDefinition.trigger", "one that is composed of others has one trigger, a named-event without data "
                                           "and condition, and is no filter and names no transitions")
    for index, one in enumerate(topic.triggers):
        where = f"EventDefinition.trigger[{index}]"
        if topic.is_filter and (one.timing is not None or not one.data):
            _refuse(where, "the trigger of a filter needs data, and what more it asks for is its condition")
        if topic.transitions and (one.raised or one.type not in ("named-event", "data-changed")):
            _refuse(f"{where}.type", "with transitions it says what state a resource is in: expected a named-event "
                                     f"with a condition, or data-changed; got {one.type}")
        if topic.transitions and one.looks_back:
            _refuse(f"{where}.condition.expression", "with transitions the condition judges one version at a time; "
                                                     "leave %previous out, or the transitions")


def _refuse(where: str, told: str, code: str | None = None) -> None:
    raise Unprocessable(f"{where}: {told}", expression=where, code=code)
