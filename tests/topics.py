"""EventDefinitions, Subscriptions to them and changes, as the tests of topics and questions need them."""
from fhirsub.fhir.extensions import COMPARTMENT, FILTER, OPERATOR, PARAMETER, TOPICS, TRANSITIONS
from fhirsub.fhir.search_values import SearchValues
from fhirsub.fhir.topics import Needs, Written, of_subscription, read

BASE = "http://example.org/fhir"


def condition(expression):
    return {"language": "text/fhirpath", "expression": expression}


def trigger(type="named-event", data="Encounter", expression=None, **more):
    """A trigger; ``data`` is a resource type, or None."""
    found = {"type": type, **({"name": "x"} if type == "named-event" else {})}
    if data:
        found["data"] = [{"type": data}]
    if expression:
        found["condition"] = condition(expression)
    return found | more


def definition(id, *triggers, topics=(), transitions=(), is_filter=False, **more):
    """An EventDefinition; with ``topics`` it is composed of them, each a reference or ``(reference, operator)``."""
    extension = [_topic(*([one] if isinstance(one, str) else one)) for one in topics]
    extension += [{"url": TRANSITIONS, "valueCode": one} for one in transitions]
    extension += [{"url": FILTER, "valueBoolean": True}] if is_filter else []
    found = {"resourceType": "EventDefinition", "id": id, "meta": {"versionId": "1"}, "status": "active", "name": id,
             "trigger": list(triggers or [trigger(data=None)]), **more}
    return found | {"extension": extension} if extension else found


def subscription(criteria, topics=(), *, compartments=(), parameters=None, transitions=(), **more):
    """A Subscription; ``topics`` as of :func:`definition`."""
    extension = [_topic(*([one] if isinstance(one, str) else one)) for one in topics]
    extension += [{"url": COMPARTMENT, "valueReference": {"reference": one}} for one in compartments]
    extension += [{"url": PARAMETER, "extension": [{"url": "name", "valueString": name},
                                                   {"url": "value", "valueString": value}]}
                  for name, value in (parameters or {}).items()]
    extension += [{"url": TRANSITIONS, "valueCode": one} for one in transitions]
    return {"resourceType": "Subscription", "id": "s", "status": "requested", "reason": "test", "criteria": criteria,
            "channel": {"type": "rest-hook", "endpoint": "http://127.0.0.1:9/hook"},
            **({"extension": extension} if extension else {}), **more}


def _topic(reference, operator=None):
    found = {"reference": reference}
    if operator:
        found["extension"] = [{"url": OPERATOR, "valueCode": operator}]
    return {"url": TOPICS, "valueReference": found}


class World:
    """Definitions that are switched on, other resources of the server, and who is in which Group or List."""

    def __init__(self, *definitions, resources=(), sets=None):
        self.topics = {one["id"]: read(one, BASE) for one in definitions}
        self.resources = {f"{one['resourceType']}/{one['id']}": one for one in resources}
        self.sets = sets or {}

    def find(self, reference):
        by_id = self.topics.get(reference.removeprefix("EventDefinition/")) if "/" in reference else None
        return by_id or next((one for one in self.topics.values() if reference in (
            one.name, one.url, f"{one.url}|{one.version}")), None)

    def question(self, *asked, **more):
        return of_subscription(subscription(*asked, **more), BASE, self.find)

    def written(self, current, previous=None, *, interaction=None, topic_id=None, needs=(), forgetful=False):
        """A change, with the topics that fired.

        :param forgetful: the version before is only known if a topic or need asks for it, as the matcher does it
        """
        if interaction is None:
            interaction = "delete" if current is None else "update" if previous is not None else "create"
        subject = current or previous
        kind = subject["resourceType"]
        written = Written(1, kind, subject["id"], interaction, current=current and SearchValues(current, BASE),
                          topic_id=topic_id, resolve=self.resources.get, find=self.find, needs=Needs(needs).of(kind),
                          sets=lambda reference: frozenset(self.sets.get(reference, ())))
        keys = set(written.topic_keys())
        topics = [one for one in self.topics.values() if keys & set(one.keys(self.find))]
        asked = "previous" in written.needs or any(one.sees_previous for one in topics)
        if previous is not None and (asked or not forgetful):
            written.previous = SearchValues(previous, BASE)
        self.failures = written.fire(topics)
        return written


def encounter(status, patient="Patient/1", **more):
    return {"resourceType": "Encounter", "id": "e", "status": status, "subject": {"reference": patient}, **more}
