"""_summary and _elements on one resource. Spec: https://hl7.org/fhir/R4/search.html#summary"""
import pytest

from fhirsub.fhir import subsets

OBSERVATION = {
    "resourceType": "Observation", "id": "1", "meta": {"versionId": "3", "tag": [{"code": "t"}]},
    "text": {"status": "generated", "div": "<div/>"}, "contained": [{"resourceType": "Patient"}],
    "extension": [{"url": "urn:x"}], "status": "final", "_status": {"id": "s"}, "code": {"text": "c", "extension": [1]},
    "valueQuantity": {"value": 1}, "note": [{"text": "n"}], "_note": None,
    "component": [{"id": "x", "code": {"text": "d"}, "valueString": "v", "interpretation": [{}]}]}


@pytest.mark.parametrize("reduce, kept", [
    # Observation.status, code, value[x] and component with code and value[x] are marked Σ; note is not
    (subsets.summary, {"id", "meta", "status", "_status", "code", "valueQuantity", "component"}),
    (subsets.text, {"id", "meta", "text", "status", "_status", "code"}),
    (subsets.data, set(OBSERVATION) - {"resourceType", "text"}),
    (lambda resource: subsets.elements(resource, ["note"]), {"id", "meta", "status", "_status", "code", "note", "_note"}),
    (lambda resource: subsets.elements(resource, ["value"]), {"id", "meta", "status", "_status", "code", "valueQuantity"}),
    (lambda resource: subsets.elements(resource, ["value[x]"]), {"id", "meta", "status", "_status", "code", "valueQuantity"}),
    (lambda resource: subsets.elements(resource, ["Observation.note"]),
     {"id", "meta", "status", "_status", "code", "note", "_note"}),
    (lambda resource: subsets.elements(resource, ["nonsense"]), {"id", "meta", "status", "_status", "code"}),
])
def test_subset_keeps_what_was_asked_and_what_is_required(reduce, kept):
    before = repr(OBSERVATION)
    part = reduce(OBSERVATION)
    assert set(part) == kept | {"resourceType"}
    assert part["meta"] == {"versionId": "3", "tag": [{"code": "t"}, subsets.SUBSETTED]}
    assert repr(OBSERVATION) == before


def test_summary_reaches_into_backbones_and_leaves_datatypes_whole():
    part = subsets.summary(OBSERVATION)
    assert part["component"] == [{"code": {"text": "d"}, "valueString": "v"}]
    assert part["code"] == OBSERVATION["code"]


def test_subset_is_tagged_once():
    again = subsets.data(subsets.summary(OBSERVATION))
    assert [tag["code"] for tag in again["meta"]["tag"]] == ["t", "SUBSETTED"]
