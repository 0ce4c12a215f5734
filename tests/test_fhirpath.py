"""Plain FHIRPath, beside the full engine. Spec: https://hl7.org/fhirpath/N1/"""
import json
import os
from pathlib import Path

import pytest

from fhirsub.fhir.definitions.parameters import search_parameters
from fhirsub.fhir.fhirpath import engine, plain
from fhirsub.fhir.fhirpath.syntax import NotPlain, parse
from fhirsub.fhir.json import decode

HERE = Path(__file__).parent
OFFICIAL = Path(os.environ.get("FHIRSUB_R4_EXAMPLES") or HERE.parent.parent / "shared" / "data" / "r4-examples")

PATIENT = {
    "resourceType": "Patient", "active": True, "deceasedDateTime": "2020",
    "name": [{"family": "Chalmers", "given": ["Peter", None, "James"]}, {"given": ["Jim"]}, None],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "2"}, {"value": "3"}],
    "extension": [{"url": "http://x", "valueCode": "a"}, {"url": "http://y", "valueCode": "b"}],
    "contained": [{"resourceType": "Practitioner", "id": "doc"}],
    "generalPractitioner": [{"reference": "Practitioner/1"}, {"reference": "#doc"}, {"reference": "Organization/1"},
                            {"reference": "http://other.example.org/fhir/Practitioner/2/_history/3"},
                            {"reference": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"},
                            {"type": "Practitioner", "identifier": {"value": "4"}}, {"display": "somebody"}]}


def practitioners(*positions):
    return [(PATIENT["generalPractitioner"][position], "Reference") for position in positions]


@pytest.mark.parametrize("expression, found", [
    ("Patient.active", [(True, "boolean")]),
    ("active", [(True, "boolean")]),
    ("Resource.active", [(True, "boolean")]),
    ("$this.active", [(True, "boolean")]),
    ("%resource.active", [(True, "boolean")]),
    ("Person.active", []),
    ("Patient.name.given", [("Peter", "string"), ("James", "string"), ("Jim", "string")]),
    ("Patient.name[1].given", [("Jim", "string")]),
    ("Patient.name.first().family", [("Chalmers", "string")]),
    ("Patient.name[9].given", []),
    ("Patient.name.family | Patient.gender | Patient.active", [("Chalmers", "string"), (True, "boolean")]),
    ("(Patient.name | Patient.contact.name).family", [("Chalmers", "string")]),
    ("Patient.deceased", [("2020", "dateTime")]),
    ("Patient.deceased.ofType(dateTime)", [("2020", "dateTime")]),
    ("(Patient.deceased as dateTime)", [("2020", "dateTime")]),
    ("Patient.deceased.as(boolean)", []),
    ("Patient.deceased.ofType(DateTime)", [("2020", "dateTime")]),
    ("Patient.telecom.where(system = 'phone').value", [("1", "string")]),
    ("Patient.telecom.where(system != 'phone').value", [("2", "string")]),
    ("Patient.telecom.where(system = 'email' and value = '2').value", [("2", "string")]),
    ("Patient.telecom.where(system.exists()).value", [("1", "string"), ("2", "string")]),
    ("Patient.extension('http://y').value", [("b", "code")]),
    ("Patient.generalPractitioner.where(resolve() is Practitioner)", practitioners(0, 1, 3, 5)),
    ("Patient.generalPractitioner.where(resolve() is Organization)", practitioners(2)),
    ("Patient.name.exists()", [(True, "boolean")]),
    ("Patient.photo.exists()", [(False, "boolean")]),
    ("Patient.active = true", [(True, "boolean")]),
    ("Patient.multipleBirth = 1", []),
    ("Patient.name.given = 'Peter'", [(False, "boolean")]),
    ("Patient.photo.exists() and Patient.multipleBirth = 1", [(False, "boolean")]),
    ("Patient.name.exists() and Patient.multipleBirth = 1", []),
    ("Patient.deceased.exists() and Patient.deceased != false", [(True, "boolean")]),
])
def test_plain_expression_finds_values_with_their_types(expression, found):
    assert plain.compile(expression, "Patient")(PATIENT) == found


def test_code_from_a_required_value_set_tells_it():
    extract = plain.compile("Observation.status", "Observation")
    assert extract({"resourceType": "Observation", "status": "final"}) == [("final", "code:observation-status")]


def test_expression_may_start_at_an_element_and_reach_the_resource():
    resource = {"resourceType": "Observation", "status": "final", "component": [{"valueString": "x"}]}
    extract = plain.compile("value | %resource.status", "Observation", "Observation.component")
    assert extract(resource["component"][0], resource) == [("x", "string"), ("final", "code:observation-status")]


@pytest.mark.parametrize("resource", [
    {"resourceType": "Patient"}, {"resourceType": "Patient", "name": "text"}, {"resourceType": "Patient", "name": [[]]},
    {"resourceType": "Patient", "name": {"given": 3}}, {"resourceType": "Patient", "name": None}])
def test_plain_expression_passes_over_what_is_malformed(resource):
    assert plain.compile("Patient.name.given.extension", "Patient")(resource) == []


@pytest.mark.parametrize("expression", [
    "", "Patient.", "Patient.name[", "Patient..name", "name.nope()", "name ~ 'x'", "name.where(", "1", "'a", "name)",
    "name.where(given)", "telecom.where(value > 1)", "nothing", "birthDate.nothing", "deceased[0]", "resolve()",
    "name or active"])
def test_what_is_not_plain_says_so(expression):
    with pytest.raises(NotPlain):
        plain.types(expression, "Patient")


@pytest.mark.parametrize(("expression", "keys"), [
    ("Observation.code | Observation.component.code", {"code", "component"}), ("Observation.status = 'final'", None),
    ("Observation.subject.where(resolve() is Patient)", {"subject"}), ("Observation.value.as(Period)", {"valuePeriod"}),
    ("Observation", None), ("Observation.status & 'x'", None)])
def test_beginnings_are_the_keys_that_a_plain_expression_needs(expression, keys):
    assert plain.beginnings(expression, "Observation") == keys


@pytest.mark.parametrize("expression, found", [
    ("Patient.name.where(given.count() > 1).family", [("Chalmers", "string")]),
    ("Patient.active.not()", [(False, "boolean")]),
    ("Patient.generalPractitioner.where(resolve() is Practitioner or resolve() is Organization)",
     practitioners(0, 1, 2, 3, 5)),
    ("%resource.name.given.first() & '!'", [("Peter!", "string")]),
    ("Patient.photo.data", []),
])
def test_engine_takes_what_is_not_plain(expression, found):
    assert plain.compile(expression, "Patient")(PATIENT) == found


@pytest.mark.parametrize("expression", ["status = ", "nope()", "Patient.name[", "%unknown"])
def test_compile_refuses_what_no_engine_takes(expression):
    with pytest.raises(ValueError, match="not FHIRPath"):
        plain.compile(expression, "Patient")


def test_parse_gives_a_tree():
    assert parse("a | b.c") == parse("(a)|(b.c)") != parse("a | b")


def examples():
    lines = (HERE / "data" / "fhirpath_examples.jsonl").read_text().splitlines()
    return [decode(line) for line in lines]


@pytest.mark.parametrize("resource", examples(), ids=lambda resource: f"{resource['resourceType']}-{resource['id']}")
def test_plain_agrees_with_the_engine_on_our_examples(resource):
    assert_agreement(resource)


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason=f"the official R4 examples are not at {OFFICIAL}")
def test_plain_agrees_with_the_engine_on_the_official_examples():
    for path in sorted(OFFICIAL.glob("*.json")):
        assert_agreement(decode(path.read_bytes()))


def assert_agreement(resource):
    resource_type = resource["resourceType"]
    for code, parameter in search_parameters(resource_type).items():
        # The engine finds nothing below abstract types.
        expression = parameter.expression.replace("Resource.", "")
        if (resource_type, code) in TAKEN_LITERALLY or parameter.type == "fulltext":
            continue
        ours = plain.compile(parameter.expression, resource_type)(resource)
        assert distinct(ours) == distinct(engine.compile(expression, resource_type)(resource)), (resource_type, code)


# The engine counts a canonical as a uri, its base type; the XPath published beside the expression says targetUri.
TAKEN_LITERALLY = {("ConceptMap", "source-uri"), ("ConceptMap", "target-uri")}


def distinct(pairs):
    """A union leaves out equal values, in the engine only."""
    return {json.dumps(value, sort_keys=True, default=str) for value, _ in pairs}
