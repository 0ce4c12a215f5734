"""The events that a client can subscribe to, and the filters that each allows, for the CapabilityStatement.

Spec: https://hl7.org/fhir/R4/eventdefinition.html, https://hl7.org/fhir/R4/capabilitystatement.html
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from weakref import WeakKeyDictionary

from ...errors import FHIRSubError
from ...fhir.definitions.compartments import COMPARTMENTS, members
from ...fhir.extensions import EVENT, EVENT_FILTER
from ...fhir.topics import FIREHOSE, Topic, read
from ...fhir.topics.needs import ANY
from ...store import event_definitions
from ...store.search_rows import indexed
from ...store.versions import Version
from ...subscriptions import registry
from ..server import Server

MAX_LISTED = 200    # GET EventDefinition?status=active tells the rest

_made: WeakKeyDictionary[Server, tuple[int, list[dict]]] = WeakKeyDictionary()


def extensions(tx: Any, server: Server) -> list[dict]:
    """An extension for each active EventDefinition and the built-in Firehose; anew when a definition is written."""
    state = event_definitions.state(tx)
    if server not in _made or _made[server][0] != state:
        _made[server] = state, list(_extensions(event_definitions.listed(tx, MAX_LISTED)))
    return _made[server][1]


def _extensions(definitions: Iterable[Version]) -> Iterator[dict]:
    topics = [(topic, one.resource.get("title", "")) for one in definitions if (topic := _topic(one))]
    about = _about([topic for topic, _ in topics])
    filters = [topic for topic, _ in topics if topic.is_filter]
    yield _nested(EVENT, [("name", "valueString", FIREHOSE.name)])
    for topic, title in topics:
        if topic.is_filter:
            parameters = [("parameter", "valueString", name) for name in sorted(topic.parameters)]
            yield _nested(EVENT_FILTER, [*_named(topic, title), *parameters])
        else:
            types = about[topic.id]
            allowed = [("filter", "valueReference", _reference(one)) for one in filters if _meet(about[one.id], types)]
            yield _nested(EVENT, [*_named(topic, title), *_narrowed(types), *allowed])


def _about(topics: list[Topic]) -> dict[str, frozenset[str]]:
    """By id the resource types that the events of a topic are about; none if they may be about any."""
    by_name = {name: topic for topic in topics for name in registry.names(topic)}
    types = {topic.id: topic.types(lambda reference: by_name.get(indexed(reference))) for topic in topics}
    return {id: frozenset() if ANY in found else found for id, found in types.items()}


def _meet(one: frozenset[str], other: frozenset[str]) -> bool:
    return not one or not other or bool(one & other)


def _topic(definition: Version) -> Topic | None:
    try:
        return read(definition.resource, definition.base_url or "")
    except FHIRSubError:    # stored by an earlier release that could evaluate it: nobody can subscribe to it
        return None


def _narrowed(types: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """What ``Subscription.criteria`` may be: a search of one of these types, or one of these compartments."""
    yield from (("type", "valueCode", name) for name in sorted(types))
    yield from (("compartment", "valueCode", name) for name in COMPARTMENTS
                if not types or types & members(name).keys())


def _named(topic: Topic, title: str) -> Iterator[tuple[str, str, Any]]:
    yield "definition", "valueReference", _reference(topic)
    if topic.url:
        yield "canonical", "valueCanonical", f"{topic.url}|{topic.version}" if topic.version else topic.url
    yield from ((name, "valueString", text) for name, text in (("name", topic.name), ("title", title)) if text)


def _reference(topic: Topic) -> dict[str, str]:
    return {"reference": f"EventDefinition/{topic.id}"}


def _nested(url: str, parts: Iterable[tuple[str, str, Any]]) -> dict:
    return {"url": url, "extension": [{"url": name, kind: value} for name, kind, value in parts]}
