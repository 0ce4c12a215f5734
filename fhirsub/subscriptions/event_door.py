"""What a client may write as an EventDefinition: its triggers are tried before it is stored.

Spec: https://hl7.org/fhir/R4/eventdefinition.html, https://hl7.org/fhir/R4/metadatatypes.html#TriggerDefinition
"""
from __future__ import annotations

from contextlib import contextmanager

from ..errors import Conflict, ExpressionFailed, Issue, Unprocessable
from ..fhir import extension_places, json
from ..fhir.fhirpath.expression import Scope
from ..fhir.topics import combination, read
from ..fhir.topics.trigger import FHIRPATH
from . import registry, stored_topics


class EventDefinitionDoor:
    """The door of the resource type EventDefinition."""

    rank = 3    # in a transaction after whatever else is written
    one_by_one = True   # it may be composed of one before it

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

    @contextmanager
    def admitting(self, tx, ids, *, now, config, base_url=""):
        """``admit(resource, current)``: the resource as it is.

        ``admit`` raises Unprocessable if it is composed of what is not there, or of itself; and Conflict if it is to be
        deleted while somebody is subscribed to it.
        """
        def admit(resource, current):
            if resource is None:
                _refuse_in_use(tx, current["id"])
            else:
                _refuse_composition(tx, resource, base_url)
            return resource
        yield admit


def _refuse_composition(tx, resource, base_url):
    sources, places = read(resource, base_url).sources, [where for where, _ in combination.places(resource)]
    combination.check(sources, places, stored_topics.finder(tx, base_url), resource["id"])


def _refuse_in_use(tx, id):
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
