"""Criteria against resources, case by case; what the columns mean stands in data/criteria_cases_sample.README.md."""
import json
from decimal import Decimal
from pathlib import Path

import pytest

from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir.criteria import parse
from fhirsub.fhir.search_values import SearchValues, undecidable
from questions import probes

BASE = "http://example.org/fhir"
CASES = [json.loads(line, parse_float=Decimal)
         for line in (Path(__file__).parent / "data" / "criteria_cases_sample.jsonl").read_text().splitlines()]


def answer(criteria, resource):
    """True, False or "unsupported"; a match must also be found by its keys, and by the canonical text."""
    try:
        asked = parse(criteria, BASE).bind(undecidable)
    except UnsupportedCriteria:
        return "unsupported"
    values = SearchValues(resource, BASE)
    matched = asked.test(values)
    assert parse(asked.canonical()).test(values) == matched
    assert not matched or set(asked.keys()) & probes(asked, values)
    return matched


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_criteria_matches_as_the_case_says(case):
    assert answer(case["criteria"], case["resource"]) == case["expect"], case["source"]


PATIENT = {
    "resourceType": "Patient", "id": "p1",
    "meta": {"lastUpdated": "2024-02-10T08:15:30.123Z", "source": "http://feeds.example.org/a",
             "profile": ["http://acme.org/StructureDefinition/p|2.0"], "tag": [{"system": "http://acme.org/c", "code": "VIP"}]},
    "active": True, "gender": "female", "birthDate": "1980-04-12",
    "identifier": [{"system": "http://acme.org/mrn", "value": "Ab1"}, {"value": "LOCAL"},
                   {"type": {"coding": [{"system": "http://v2", "code": "MR"}, {"code": "X"}], "text": "Medical record"},
                    "system": "urn:oid:1.2.3", "value": "77"}],
    "name": [{"family": "Núñez Carter", "given": ["Anna, Maria"]}],
    "telecom": [{"system": "email", "value": "Anna@Example.org"}, {"system": "phone", "value": "+1555"}],
    "managingOrganization": {"reference": BASE + "/Organization/o1", "identifier": {"system": "http://npi", "value": "9"}},
    "generalPractitioner": [{"reference": "Practitioner/g1/_history/3"}, {"reference": "http://other.org/fhir/Practitioner/x"}]}

# R4 search, 3.1.1.4.10 token
TOKENS = [
    ("Patient?identifier=Ab1", True), ("Patient?identifier=ab1", False),  # scoped by a system: with case
    ("Patient?identifier=http://acme.org/mrn|Ab1", True), ("Patient?identifier=http://acme.org/MRN|Ab1", False),
    ("Patient?identifier=|local", True), ("Patient?identifier=local", True),  # without a system: in doubt, without case
    ("Patient?identifier=|Ab1", False), ("Patient?identifier=http://acme.org/mrn|", True),
    ("Patient?identifier=http://acme.org/|", False), ("Patient?email=anna@example.ORG", True), ("Patient?phone=+1555", True), ("Patient?phone=%2B1555", True),
    ("Patient?_id=p1", True), ("Patient?_id=P1", False), ("Patient?_id:not=p1", False), ("Patient?_id:not=p2", True),
    ("Patient?gender=http://hl7.org/fhir/administrative-gender|female", True), ("Patient?gender=|female", False),
    ("Patient?gender=female,male", True), ("Patient?gender:not=male,other", True), ("Patient?gender:not=male,female", False),
    ("Patient?language:not=de", True), ("Patient?active=true", True), ("Patient?active=false", False),
    ("Patient?identifier:text=medical", True), ("Patient?identifier:text=record", False),  # a normal string search
    ("Patient?identifier:of-type=http://v2|MR|77", True), ("Patient?identifier:of-type=http://v2|MR|Ab1", False),
    ("Patient?identifier:of-type=http://v2|X|77", False),
    ("Patient?_tag=http://acme.org/c|VIP", True), ("Patient?_tag:not=http://acme.org/c|VIP", False),
    ("Patient?identifier=77&identifier=Ab1", True), ("Patient?identifier=77&identifier=Ab2", False)]

# R4 search, 3.1.1.4.8 string and 3.1.1.4.19 escaping
STRINGS = [
    ("Patient?family=nunez", True), ("Patient?family=N%C3%BA%C3%B1ez", True), ("Patient?family=carter", False),
    ("Patient?family:contains=CARTER", True), ("Patient?family:contains=ez%20ca", True),
    ("Patient?family:exact=N%C3%BA%C3%B1ez%20Carter", True), ("Patient?family:exact=N%C3%BA%C3%B1ez%20carter", False),
    ("Patient?given=Anna%5C%2C%20Maria", True), (r"Patient?given:exact=Anna\, Maria", True),
    ("Patient?given:exact=Anna, Maria", False), ("Patient?name=carter,anna", True), ("Patient?family=nu+carter", False),
    ("Patient?family=nunez++carter", True)]

# R4 search, 3.1.1.4.12 reference and 3.1.1.4.13 versions
REFERENCES = [
    ("Patient?organization=o1", True), ("Patient?organization=Organization/o1", True),
    (f"Patient?organization={BASE}/Organization/o1", True), ("Patient?organization:Organization=o1", True),
    ("Patient?organization=http://other.org/fhir/Organization/o1", False), ("Patient?organization=o2", False),
    ("Patient?organization:identifier=http://npi|9", True), ("Patient?organization:identifier=|9", False),
    ("Patient?organization:identifier=http://npi|", True), ("Patient?general-practitioner=g1", True),
    ("Patient?general-practitioner=Practitioner/g1", True), ("Patient?general-practitioner=Organization/g1", False),
    ("Patient?general-practitioner=Practitioner/g1/_history/3", True),
    ("Patient?general-practitioner=Practitioner/g1/_history/4", False), ("Patient?general-practitioner=x", False),
    ("Patient?general-practitioner=http://other.org/fhir/Practitioner/x", True),
    ("Patient?general-practitioner:Practitioner=http://other.org/fhir/Practitioner/x", True),
    ("Patient?general-practitioner:missing=false", True), ("Patient?link:missing=true", True),
    ("Patient?link:missing=false", False)]

# R4 search, 3.1.1.4.9 uri and 3.1.1.4.1 parameters for all resources
URIS = [
    ("Patient?_profile=http://acme.org/StructureDefinition/p", True),
    ("Patient?_profile=http://acme.org/StructureDefinition/p|2.0", True),
    ("Patient?_profile=http://acme.org/StructureDefinition/p|1.0", False),
    ("Patient?_source=http://feeds.example.org/a", True), ("Patient?_source=http://feeds.example.org/A", False),
    ("Patient?_source:below=http://feeds.example.org/", True), ("Patient?_source:below=http://feeds.example.org/b", False),
    ("Patient?_source:above=http://feeds.example.org/a/b", True), ("Patient?_source:above=http://feeds.example.org/", False),
    ("Patient?_lastUpdated=2024-02-10", True), ("Patient?_lastUpdated=2024-02-10T08:15:30.123Z", True),
    ("Patient?_lastUpdated=gt2024-02-10T08:15:30.123Z", False), ("Patient?_lastUpdated=gt2024-02-10T08:15:30.122Z", True)]


@pytest.mark.parametrize(("criteria", "expected"), [*TOKENS, *STRINGS, *REFERENCES, *URIS])
def test_criteria_of_patient(criteria, expected):
    assert answer(criteria, PATIENT) is expected


def vital_signs(**period):
    return {"resourceType": "Observation", "id": "o1", "effectivePeriod": period}


FROM_21_JAN, FROM_15_MAR = vital_signs(start="2013-01-21"), vital_signs(start="2013-03-15")
UNTIL_21_JAN = vital_signs(end="2013-01-21")
DAY, MORNING = ({"resourceType": "Observation", "id": "o1", "effectiveDateTime": text}
                for text in ("2013-01-14", "2013-01-14T10:00:00Z"))
NEXT_DAY = {"resourceType": "Observation", "id": "o1", "effectiveDateTime": "2013-01-15T00:00:00Z"}


@pytest.mark.parametrize(("asked", "resource", "expected"), [
    # the table of R4 search, 3.1.1.4.7 date
    ("eq2013-01-14", MORNING, True), ("eq2013-01-14", NEXT_DAY, False), ("ne2013-01-14", NEXT_DAY, True),
    ("ne2013-01-14", MORNING, False), ("lt2013-01-14T10:00", DAY, True), ("gt2013-01-14T10:00", DAY, True),
    ("ge2013-03-14", FROM_21_JAN, True), ("le2013-03-14", FROM_21_JAN, True), ("sa2013-03-14", FROM_15_MAR, True),
    ("sa2013-03-14", FROM_21_JAN, False), ("sa2013-03-14", UNTIL_21_JAN, False), ("eb2013-03-14", FROM_15_MAR, False),
    ("eb2013-03-14", FROM_21_JAN, False), ("eb2013-03-14", UNTIL_21_JAN, True),
    ("ap2013-01-14", DAY, True), ("ap2013-01-20", DAY, True), ("ap2015-06-15", DAY, False),
    # precisions, zones and edges
    ("2013", DAY, True), ("2013-01", DAY, True), ("2013-01-14T10:00", DAY, False), ("gt2013-01-14", MORNING, False),
    ("lt2013-01-14", MORNING, False), ("ge2013-01-14", MORNING, True), ("le2013-01-14", MORNING, True),
    ("2013-01-14T11:00:00%2B01:00", MORNING, True), ("2013-01-14T11:00:00+01:00", MORNING, True),
    ("2013-01-14T10:00:00.0Z", MORNING, False), ("ge2013-01-21", UNTIL_21_JAN, True), ("gt2013-01-21", UNTIL_21_JAN, False),
])
def test_date_compares_as_spans(asked, resource, expected):
    assert answer(f"Observation?date={asked}", resource) is expected


def measured(value, **more):
    quantity = {"value": Decimal(value), "system": "http://unitsofmeasure.org", "code": "mg", "unit": "milligram", **more}
    return {"resourceType": "Observation", "id": "o1", "valueQuantity": quantity}


@pytest.mark.parametrize(("asked", "value", "expected"), [
    # the table of R4 search, 3.1.1.4.6 number
    ("100", "99.5", True), ("100", "100.5", False), ("100.00", "99.995", True), ("100.00", "100.01", False),
    ("1e2", "95", True), ("1e2", "105", False), ("1.00e2", "100.4", True), ("1.00e2", "101", False),
    ("lt100", "100", False), ("lt100", "99.999", True), ("le100", "100", True), ("gt100", "100.0001", True),
    ("ge100", "100", True), ("ne100", "100.4", False), ("ne100", "100.5", True), ("sa100", "100", False),
    ("eb100", "99.9", True), ("ap100", "110", True), ("ap100", "110.1", False), ("ap100", "90", True),
    ("-3", "-3.5", True), ("-3", "-2.5", False), ("ap-3", "-3.3", True), ("5.40e-3", "0.005404", True),
    ("5.40e-3", "0.005406", False)])
def test_quantity_compares_by_the_digits_asked(asked, value, expected):
    assert answer(f"Observation?value-quantity={asked}", measured(value)) is expected


@pytest.mark.parametrize(("asked", "expected"), [
    ("5.4|http://unitsofmeasure.org|mg", True), ("5.4|http://unitsofmeasure.org|milligram", False), ("5.4||mg", True),
    ("5.4||milligram", True), ("5.4||Mg", False), ("5.4|http://unitsofmeasure.org|", True), ("5.4|http://snomed.info/sct|mg", False)])
def test_quantity_compares_unit_without_conversion(asked, expected):
    assert answer(f"Observation?value-quantity={asked}", measured("5.4")) is expected


@pytest.mark.parametrize(("asked", "expected"), [("gt10", True), ("lt10", True), ("le5", False), ("ge5", True), ("5", False)])
def test_quantity_with_comparator_is_open_at_one_end(asked, expected):
    assert answer(f"Observation?value-quantity={asked}", measured("6", comparator=">")) is expected


PRESSURE = {"resourceType": "Observation", "id": "o1", "component": [
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8480-6"}]}, "valueQuantity": {"value": 120}},
    {"code": {"coding": [{"system": "http://loinc.org", "code": "8462-4"}]}, "valueQuantity": {"value": 55}}]}


@pytest.mark.parametrize(("asked", "expected"), [
    ("8480-6$gt110", True), ("8480-6$lt60", False), ("http://loinc.org|8462-4$lt60", True),
    ("8480-6$lt60,8462-4$lt60", True), ("8480-6$gt110&component-code-value-quantity=8462-4$gt110", False)])
def test_composite_needs_both_at_one_place(asked, expected):
    assert answer(f"Observation?component-code-value-quantity={asked}", PRESSURE) is expected


VALUE_SET = {"resourceType": "ValueSet", "id": "v", "url": "http://acme.org/fhir/ValueSet/123", "version": "2.0"}


@pytest.mark.parametrize(("asked", "expected"), [
    ("url=http://acme.org/fhir/ValueSet/123|2.0", True), ("url=http://acme.org/fhir/ValueSet/123|1.0", False),
    ("url:above=http://acme.org/fhir/ValueSet/123/_history/5", True), ("url:below=http://acme.org/fhir/", True),
    ("url=http://acme.org/fhir", False)])
def test_uri_of_canonical_resource(asked, expected):
    assert answer(f"ValueSet?{asked}", VALUE_SET) is expected


@pytest.mark.parametrize(("asked", "expected"), [
    ("questionnaire=http://acme.org/phq", True), ("questionnaire=http://acme.org/phq|1.1", True),
    ("questionnaire=http://acme.org/phq|1", False), ("questionnaire:below=http://acme.org/phq", True),
    ("questionnaire:below=http://acme.org/phq|1", True), ("questionnaire:below=http://acme.org/phq|1.10", False),
    ("questionnaire:below=http://acme.org/", False)])
def test_canonical_version_is_asked_whole_or_below(asked, expected):
    resource = {"resourceType": "QuestionnaireResponse", "id": "q", "questionnaire": "http://acme.org/phq|1.1"}
    assert answer(f"QuestionnaireResponse?{asked}", resource) is expected
