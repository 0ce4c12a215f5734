"""Extensions where they mean nothing: https://hl7.org/fhir/R4/extensibility.html"""
import pytest
from topics import definition, subscription

from fhirsub.errors import Unprocessable
from fhirsub.fhir import extension_places
from fhirsub.fhir.extensions import COMPARTMENT, FILTER, OPERATOR, TOPICS, TRANSITIONS

_TOPIC = {"url": TOPICS, "valueReference": {"reference": "admit"}}
_EXCEPT = {"url": OPERATOR, "valueCode": "except"}
_LEAVE = {"url": TRANSITIONS, "valueCode": "leave"}


def test_extension_is_taken_where_it_belongs():
    extension_places.check(subscription("Patient/1", ["a", ("b", "except")], compartments=["Group/1"],
                                        parameters={"x": "1"}, transitions=["enter"]))
    extension_places.check(definition("d", topics=["a", ("b", "filter")], is_filter=True, transitions=["leave"]))
    extension_places.check(subscription("Patient") | {"extension": [{"url": "http://acme.org/x", "valueString": "y"}]})


@pytest.mark.parametrize(("resource", "where", "words"), [
    (subscription("Encounter", extension=[_EXCEPT]), "Subscription.extension[0]", f"it belongs on {TOPICS}.valueReference"),
    (subscription("Encounter", extension=[_TOPIC | {"extension": [_EXCEPT]}]), "Subscription.extension[0].extension[0]",
     f"it belongs on {TOPICS}.valueReference"),
    (subscription("Encounter", extension=[{"url": COMPARTMENT, "valueReference": {"extension": [_EXCEPT]}}]),
     "Subscription.extension[0].valueReference.extension[0]", f"it belongs on {TOPICS}.valueReference"),
    (subscription("Encounter", extension=[_LEAVE | {"url": f"{TRANSITIONS}s"}]), "Subscription.extension[0]",
     f"did you mean {TRANSITIONS}?"),
    (subscription("Encounter", extension=[_TOPIC | {"url": TOPICS.replace("http:", "https:")}]),
     "Subscription.extension[0]", f"did you mean {TOPICS}?"),
    (subscription("Encounter", extension=[_TOPIC | {"url": f"{TOPICS}/"}]), "Subscription.extension[0]",
     f"did you mean {TOPICS}?"),
    (subscription("Encounter", extension=[{"url": FILTER, "valueBoolean": True}]), "Subscription.extension[0]",
     "it belongs on EventDefinition"),
    (subscription("Encounter", channel={"type": "websocket", "extension": [_TOPIC]}),
     "Subscription.channel.extension[0]", "it belongs on Subscription or EventDefinition"),
    (subscription("Encounter", channel={"type": "websocket", "_payload": {"extension": [
        {"url": "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-payload-content",
         "valueCode": "id-only"}]}}), "Subscription.channel._payload.extension[0]", "leave it out"),
    (definition("d", trigger=[{"type": "data-changed", "extension": [_LEAVE]}]), "EventDefinition.trigger[0].extension[0]",
     "it belongs on Subscription or EventDefinition")])
def test_extension_is_refused_where_nobody_reads_it(resource, where, words):
    with pytest.raises(Unprocessable) as refused:
        extension_places.check(resource)
    [issue] = refused.value.issues
    assert issue.expression == where and words in str(issue), issue
