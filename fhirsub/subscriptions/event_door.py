"""What a client may write as an EventDefinition: its triggers are tried before it is stored.

Spec: https://hl7.org/fhir/R4/eventdefinition.html, https://hl7.org/fhir/R4/metadatatypes.html#TriggerDefinition
"""
from __future__ import annotations

from ..errors import Conflict, ExpressionFailed, Issue, Unprocessable
from ..fhir import extension_places, json
from ..fhir.fhirpath.expression import Scope
from ..fhir.topics import combination, read
from ..fhir.topics.trigger import FHIRPATH
from . import registry, stored_topics


class EventDefinitionDoor:
    """The door of the resource type EventDefinition."""

    rank = 3    # in a transaction after whatever else is written

    def fill(self, resource):
        """What is validated in its place: :meth:`check` tells better than the schema which language is expected."""
        triggers = resource.get("trigger")
        if not isinstance(triggers, list):
            return resource
        return resource | {"trigger": [_with_language(trigger) for trigger in triggers]}

    def check(self, resource, *, config, base_url=""):
        """Refuse what could never be evaluated.

        :raises Unprocessable: one issue for each element that is wrong
        """
        _refuse_modifiers(resource)
        extension_places.check(resource)
        issues = [issue for index, trigger in enumerate(read(resource, base_url).triggers)
                  for issue in _tried(trigger, f"EventDefinition.trigger[{index}].condition.expression")]
        if issues:
            raise Unprocessable(issues=issues)

    def admit(self, tx, resource, current, *, now, config, base_url=""):
        """The resource as it is.

        :raises Unprocessable: it is composed of what is not there, or of itself
        """
        sources = read(resource, base_url).sources
        combination.check(sources, [where for where, _ in combination.places(resource)],
                          stored_topics.finder(tx, base_url), resource["id"])
        return resource

    def removed(self, tx, id, *, now):
        """Keep it while somebody is subscribed to it.

        :raises Conflict: says how many are
        """
        row = registry.current(tx, id)
        if row is None:
            return
        names = registry.names(read(json.decode(row.content), row.base_url))
        subscriptions = registry.users(tx, "Subscription", names)
        composed = [user for user in registry.users(tx, "EventDefinition", names) if user != registry.reference(id)]
        if subscriptions or composed:
            raise Conflict(f"EventDefinition/{id} is used by {len(subscriptions)} active Subscriptions and "
                           f"{len(composed)} EventDefinitions, {[*subscriptions, *composed][0]} among them; switch them "
                           "off or over to another first, or give it the status retired")


def _refuse_modifiers(resource):
    for name in ("implicitRules", "modifierExtension"):
        if name in resource:
            raise Unprocessable(f"EventDefinition.{name}: it changes what the rest means, and this server does not "
                                "evaluate it; leave it out", expression=f"EventDefinition.{name}", code="not-supported")


def _with_language(trigger):
    condition = trigger.get("condition") if isinstance(trigger, dict) else None
    return trigger | {"condition": {"language": FHIRPATH} | condition} if isinstance(condition, dict) else trigger


def _tried(trigger, where):
    """What goes wrong when the condition is evaluated on resources that say nothing."""
    if trigger.condition is None:
        return
    parameters = dict.fromkeys(trigger.condition.parameters, "")
    for data in trigger.data:
        resource = {"resourceType": data.type or "Basic", "id": "x"}
        try:
            trigger.condition.evaluate(Scope(resource, resource, parameters))
        except ExpressionFailed as error:
            yield Issue(f"{where}: on {data.type or 'a resource'}: {error}", expression=where)
