"""The StructureDefinition of each extension that this server reads and writes; the server itself serves them.

Spec: https://hl7.org/fhir/R4/defining-extensions.html
"""
from __future__ import annotations

from typing import Any

from . import extensions

_BASE = "http://hl7.org/fhir/StructureDefinition/Extension"


def _definition(url: str, title: str, contexts: tuple[str, ...], kind: str, description: str, *, repeats: bool = False,
                parts: tuple[tuple[str, str, str], ...] = ()) -> dict[str, Any]:
    """One extension.

    :param contexts: the elements that may carry it
    :param kind: type of its value; empty if it has ``parts``, each ``(url, type, cardinality)``, instead
    """
    root = {"id": "Extension", "path": "Extension", "short": title, "definition": description, "min": 0,
            "max": "*" if repeats else "1"}
    inside = [element for part in parts for element in _part(*part)]
    if not parts:
        inside = [{"id": "Extension.extension", "path": "Extension.extension", "max": "0"}]
    return {
        "resourceType": "StructureDefinition", "id": url.rpartition("/")[2], "url": url,
        "name": title.title().replace(" ", ""), "title": title, "status": "active", "description": description,
        "fhirVersion": "4.0.1", "kind": "complex-type", "abstract": False,
        "context": [{"type": "element", "expression": element} for element in contexts], "type": "Extension",
        "baseDefinition": _BASE, "derivation": "constraint",
        "differential": {"element": [root, *inside, _fixed("Extension.url", url), _value("Extension.value[x]", kind)]}}


def _part(name: str, kind: str, cardinality: str) -> list[dict[str, Any]]:
    """The elements of an extension inside the extension."""
    id = f"Extension.extension:{name}"
    least, _, most = cardinality.partition("..")
    return [{"id": id, "path": "Extension.extension", "sliceName": name, "min": int(least), "max": most},
            _fixed(f"{id}.url", name), _value(f"{id}.value[x]", kind)]


def _fixed(id: str, url: str) -> dict[str, Any]:
    return {"id": id, "path": _path(id), "fixedUri": url}


def _value(id: str, kind: str) -> dict[str, Any]:
    if not kind:
        return {"id": id, "path": _path(id), "max": "0"}
    return {"id": id, "path": _path(id), "min": 1, "type": [{"code": kind}]}


def _path(id: str) -> str:
    return ".".join(part.partition(":")[0] for part in id.split("."))


_NAMED = (("definition", "Reference", "0..1"), ("canonical", "canonical", "0..1"), ("name", "string", "0..1"),
          ("title", "string", "0..1"))

DEFINITIONS: tuple[dict[str, Any], ...] = (
    _definition(
        extensions.PAYLOAD_MODE, "Payload mode", ("Subscription.channel",), "code",
        "How rest-hook sends a payload: `post` to the endpoint, or `update` by PUT to endpoint/Type/id. Without it the "
        "server's setting PAYLOAD_MODE holds."),
    _definition(
        extensions.ORDERING, "Ordering", ("Subscription.channel",), "code",
        "In which order notifications are sent: `strict`, one at a time, as without it; or `parallel`, up to eight at "
        "once, where only those of one resource are in order."),
    _definition(
        extensions.TOPICS, "Topics", ("Subscription", "EventDefinition"), "Reference",
        "The events that a Subscription subscribes to, as the 2019 connectathon wrote them: EventDefinitions by id, "
        "canonical URL or name, or `Firehose` for every change. The references are read in order: a source adds its "
        "events, a filter narrows what came before. On an EventDefinition: it is composed of these.", repeats=True),
    _definition(
        extensions.OPERATOR, "Operator", ("Reference",), "code",
        "On a reference in topics, how it goes together with what came before: `union`, `intersect`, `except` or "
        "`filter`."),
    _definition(
        extensions.PARAMETER, "Parameter", ("Subscription",), "",
        "A value for a parameter of a filter: name `patientId` is `%patientId` in its condition.", repeats=True,
        parts=(("name", "string", "1..1"), ("value", "string", "1..1"))),
    _definition(
        extensions.COMPARTMENT, "Compartment", ("Subscription",), "Reference",
        "Only what belongs to this Patient, Practitioner, RelatedPerson, Device or Encounter, or to a member of this "
        "Group or List as it stands when the change is matched; of several, to any.", repeats=True),
    _definition(
        extensions.TRANSITIONS, "Transitions", ("Subscription", "EventDefinition"), "code",
        "Which transitions notify: `enter` (it did not match before and does now), `update` (it did and does), `leave` "
        "(it did and does no more) and `delete` (it did and is deleted).", repeats=True),
    _definition(
        extensions.FILTER, "Filter", ("EventDefinition",), "boolean",
        "Whether the EventDefinition is a filter: no source of events, but a condition on those of others."),
    _definition(
        extensions.SIGNATURE, "Signature", ("Subscription.channel",), "string",
        "The secret that notifications are signed with, `whsec_…` as of Standard Webhooks; it reads as `whsec_***`."),
    _definition(
        extensions.EVENT, "Event", ("CapabilityStatement.rest.resource",), "",
        "On the resource type Subscription: an event that a client can subscribe to. The criteria may be a search of "
        "one of its types or one of the compartments; the filters may follow it in topics.", repeats=True,
        parts=(*_NAMED, ("type", "code", "0..*"), ("compartment", "code", "0..*"), ("filter", "Reference", "0..*"))),
    _definition(
        extensions.EVENT_FILTER, "Event filter", ("CapabilityStatement.rest.resource",), "",
        "On the resource type Subscription: a filter that may follow events in topics, and the parameters that it "
        "takes.", repeats=True, parts=(*_NAMED, ("parameter", "string", "0..*"))),
)
