"""Raising an event by its name: a named-event trigger without a condition, fired by who knows that it happened.

Spec: https://hl7.org/fhir/R4/triggerdefinition.html
"""
from __future__ import annotations

import re

from ..errors import Unprocessable
from ..fhir import references
from ..store import raised
from . import stored_topics

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})")


def event(tx, name, base_url=""):
    """The topic that is called ``name``: by reference, canonical URL or name.

    :raises Unprocessable: none that is active is called that, or several are
    """
    found = stored_topics.finder(tx, base_url)(name)
    if found is None:
        raise Unprocessable(f"{name!r}: no active EventDefinition is called that; expected EventDefinition/ID, a "
                            "canonical URL or a name", code="not-found")
    return found


def check(topic, focus_type):
    """Refuse a topic that fires by itself, and a focus that it is not about.

    :param topic: :class:`~fhirsub.fhir.topics.Topic`
    :raises Unprocessable: says which events can be raised
    """
    name = f"EventDefinition/{topic.id}"
    if topic.status != "active":
        raise Unprocessable(f"{name} is {topic.status}; only an active event is raised")
    triggers = [trigger for trigger in topic.triggers if trigger.raised]
    if not triggers or topic.sources:
        raise Unprocessable(f"{name} fires by itself; raised are those with a named-event trigger without condition",
                            expression="EventDefinition.trigger", code="business-rule")
    types = {data.type for trigger in triggers for data in trigger.data}
    if all(trigger.data for trigger in triggers) and types.isdisjoint((None, focus_type)):
        raise Unprocessable(f"focus: {name} is about {' or '.join(sorted(types))}; got {focus_type}",
                            expression="focus")


def raise_own(tx, topic, focus, *, context, base_url, now):
    """Record that an event happened to a resource that this server holds.

    :param focus: ``Encounter/1``, also below ``base_url``
    :param context: further references, which are handed on as they are
    :returns: seq of the change
    :raises Unprocessable: the focus is not here, or the event cannot be raised about it
    """
    found = _LOCAL.fullmatch(references.relative(focus, base_url))
    if not found:
        raise Unprocessable(f"focus: expected a resource of this server, as Type/id; got {focus!r}", expression="focus")
    check(topic, found[1])
    seq = raised.record(tx, *found.groups(), "raise", now=now, topic_id=topic.id, context=context)
    if seq is None:
        raise Unprocessable(f"focus: this server holds no {found[0]}", expression="focus", code="not-found")
    return seq
