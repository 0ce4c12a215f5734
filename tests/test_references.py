"""Links and their rewriting in a transaction. Spec: https://hl7.org/fhir/R4/http.html#trules"""
import pytest

from fhirsub.fhir.references import find, references, relative, rewrite

UUID = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
MAPPING = {UUID: "Patient/7", "Practitioner?identifier=a|b": "Practitioner/3"}


def narrative(markup):
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{markup}</div>'}


@pytest.mark.parametrize("before, after", [
    ({"resourceType": "Observation", "subject": {"reference": UUID}},
     {"resourceType": "Observation", "subject": {"reference": "Patient/7"}}),
    ({"resourceType": "Observation", "performer": [{"reference": "Practitioner?identifier=a|b"}, {"reference": "X/1"}]},
     {"resourceType": "Observation", "performer": [{"reference": "Practitioner/3"}, {"reference": "X/1"}]}),
    ({"resourceType": "Observation", "subject": {"reference": f"{UUID}#part"}},
     {"resourceType": "Observation", "subject": {"reference": "Patient/7#part"}}),
    ({"resourceType": "Patient", "extension": [{"url": "http://x", "valueReference": {"reference": UUID}}]},
     {"resourceType": "Patient", "extension": [{"url": "http://x", "valueReference": {"reference": "Patient/7"}}]}),
    ({"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://x", "valueUri": UUID}]}},
     {"resourceType": "Patient", "_birthDate": {"extension": [{"url": "http://x", "valueUri": "Patient/7"}]}}),
    ({"resourceType": "HumanName"}, {"resourceType": "HumanName"}),
    ({"resourceType": "DocumentReference", "content": [{"attachment": {"url": UUID}}]},
     {"resourceType": "DocumentReference", "content": [{"attachment": {"url": "Patient/7"}}]}),
    ({"resourceType": "Patient", "contained": [{"resourceType": "Flag", "subject": {"reference": UUID}}]},
     {"resourceType": "Patient", "contained": [{"resourceType": "Flag", "subject": {"reference": "Patient/7"}}]}),
    ({"resourceType": "ActivityDefinition", "library": [UUID]},
     {"resourceType": "ActivityDefinition", "library": [UUID]}),
    ({"resourceType": "Communication", "instantiatesUri": [UUID, "http://x"]},
     {"resourceType": "Communication", "instantiatesUri": ["Patient/7", "http://x"]}),
    ({"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": UUID}]},
     {"resourceType": "Patient", "identifier": [{"system": "urn:ietf:rfc:3986", "value": UUID}]}),
    ({"resourceType": "Patient", "text": narrative(f"<a class='x' href='{UUID}'>me</a> {UUID}<img src=\"{UUID}\"/>")},
     {"resourceType": "Patient", "text": narrative(f"<a class='x' href=\"Patient/7\">me</a> {UUID}"
                                                   '<img src="Patient/7"/>')}),
    ({"resourceType": "Patient", "text": narrative('<a href="Practitioner?identifier=a|b&amp;x">not it</a>')},
     {"resourceType": "Patient", "text": narrative('<a href="Practitioner?identifier=a|b&amp;x">not it</a>')}),
], ids=["Reference", "conditional", "fragment", "extension", "primitive extension", "no resource", "url", "contained",
        "canonical stays", "uri in array", "string stays", "narrative", "narrative stays"])
def test_rewrite_replaces_links_only(before, after):
    assert rewrite(before, MAPPING) == after


def test_rewrite_leaves_the_given_resource_alone():
    before = {"resourceType": "Observation", "subject": {"reference": UUID}}
    assert rewrite(before, MAPPING) is not before
    assert before["subject"]["reference"] == UUID


def test_rewrite_returns_the_same_resource_when_nothing_matches():
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient/1"}}
    assert rewrite(resource, MAPPING) is resource


def test_rewrite_replaces_each_link_once():
    resource = {"resourceType": "Patient", "text": narrative('<a href="a">1</a><a href="b">2</a>')}
    assert rewrite(resource, {"a": "b", "b": "c"})["text"] == narrative('<a href="b">1</a><a href="c">2</a>')


def test_find_gives_holder_and_key():
    subject = {"reference": "Patient/1"}
    assert list(find({"resourceType": "Observation", "subject": subject})) == [(subject, "reference", "Patient/1")]


def test_find_passes_over_malformed_parts():
    assert list(find({"resourceType": "Patient", "name": {"given": {"reference": 5}}, "text": 3, "_active": [1]})) == []


def test_references_are_those_of_reference_elements():
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient/1"}, "implicitRules": "http://rules",
                "contained": [{"resourceType": "Flag", "subject": {"reference": "#p"}}],
                "text": narrative('<a href="Patient/2">x</a>')}
    assert sorted(references(resource)) == ["#p", "Patient/1"]


@pytest.mark.parametrize("reference, base_url, expected", [
    ("http://here/fhir/Patient/1", "http://here/fhir", "Patient/1"),
    ("http://here/fhir/Patient/1", "http://here/fhir/", "Patient/1"),
    ("http://here/fhirx/Patient/1", "http://here/fhir", "http://here/fhirx/Patient/1"),
    ("Patient/1", "http://here/fhir", "Patient/1"),
    ("http://there/Patient/1", "", "http://there/Patient/1"),
    ("#p", "http://here/fhir", "#p"),
])
def test_relative_strips_own_base_only(reference, base_url, expected):
    assert relative(reference, base_url) == expected
