"""Access keys: what a criteria is filed under, and that a resource it matches probes there."""
import pytest
from hypothesis import given, settings

from fhirsub.fhir.criteria import parse, probe_keys
from fhirsub.fhir.criteria.keys import MAX_KEY
from fhirsub.fhir.search_values import SearchValues
from questions import BASE, cases, probes


@pytest.mark.parametrize(("criteria", "keys"), [
    ("Patient?_id=a,b&gender=male", ["Patient?_id=a", "Patient?_id=b"]),
    ("Observation?code=x&patient=1&identifier=7", ["Observation?patient=Patient/1"]),
    ("Observation?subject=1", ["Observation?subject=1"]),
    ("Observation?code=http://loinc.org|X,y", ["Observation?code=http://loinc.org|X", "Observation?code=y"]),
    ("Observation?status=final&code=x", ["Observation?code=x"]),
    ("Observation?status=final&_profile=http://p", ["Observation?_profile=http://p"]),
    ("Observation?subject:identifier=http://s|9", ["Observation?subject=:identifier=http://s|9"]),
    # nothing that a resource must have in one of its values
    ("Observation?code:not=x", ["Observation"]), ("Observation?code=http://loinc.org|", ["Observation"]),
    ("Observation?value-quantity=ne5.4", ["Observation"]),
    ("Observation?code=x,http://loinc.org|", ["Observation"]), ("Patient?family:contains=x", ["Patient"]),
    ("Observation?code:missing=false&status:not=final", ["Observation?code=missing false"]),
    # the beginnings of strings, by 1, 2, 4 or 8 letters
    ("Patient?family=Müller-Lüdenscheid&active=true", ["Patient?family=begins muller-l"]),
    ("Patient?family:exact=Zoë", ["Patient?family=begins zo"]),
    ("Patient?family=x&active=true", ["Patient?active=true"]),
    ("Patient?name=anna,b", ["Patient?name=begins anna", "Patient?name=begins b"])])
def test_keys_are_those_of_the_most_selective_equality(criteria, keys):
    assert list(parse(criteria).keys()) == keys


PATIENT = {"resourceType": "Patient", "id": "1", "generalPractitioner": [{"reference": "Practitioner/7"}],
           "birthDate": "1980-05-01", "identifier": [{"system": "http://s", "value": "9"}], "managingOrganization": {"reference": "Organization/2"}}
AROUND = {"Patient/1": PATIENT, "Organization/2": {"resourceType": "Organization", "id": "2", "name": "Acme",
                                                   "identifier": [{"value": "acme"}]}}


@pytest.mark.parametrize(("chain", "key", "holds"), [
    ("patient.general-practitioner=Practitioner/7", "patient:Patient.general-practitioner=Practitioner/7", True),
    ("patient.general-practitioner=Practitioner/8", "patient:Patient.general-practitioner=Practitioner/8", False),
    ("subject:Patient.identifier=http://s|9", "subject:Patient.identifier=http://s|9", True),
    ("subject.identifier=9", "subject.identifier=9", True), ("subject:Group.identifier=9", "subject:Group.identifier=9", False),
    ("patient.organization.identifier=acme", "patient:Patient.organization:Organization.identifier=acme", True),
    ("patient.organization.name=acme", "patient:Patient.organization:Organization.name=begins acme", True),
    ("patient.organization.name=acmex", "patient:Patient.organization:Organization.name=begins acme", False),
    ("patient.organization.name:contains=cme", "patient:Patient.organization:Organization.name=part3", True),
    ("patient.birthdate=1980-05", "patient:Patient.birthdate=low 7.2251", True),
    ("patient.gender:not=male", None, True),
    ("patient.organization.identifier=acme&status=final", "patient:Patient.organization:Organization.identifier=acme", True)])
def test_chain_is_filed_under_what_stands_at_its_end(chain, key, holds):
    asked = parse(f"Observation?{chain}", chains=True)
    values = SearchValues({"resourceType": "Observation", "id": "o", "status": "final", "subject": {"reference": "Patient/1"}},
                          resolve=AROUND.get)
    assert (f"Observation?{key}" if key else "Observation") in asked.keys()
    assert asked.test(values) == holds
    assert not holds or set(asked.keys()) & probes(asked, values)


def test_chain_is_the_last_resort_but_for_a_coarse_equality():
    asked = parse("Observation?patient.identifier=9&code=x&status=final", chains=True)
    assert asked.keys() == ("Observation?code=x",)


def test_keys_of_long_values_fit_the_index():
    url = "http://acme.org/" + "x" * 500
    asked = parse(f"Patient?_profile={url}")
    assert len(asked.keys()[0]) == MAX_KEY
    values = SearchValues({"resourceType": "Patient", "id": "p", "meta": {"profile": [url]}})
    assert asked.keys()[0] in probe_keys(values)
    assert parse(f"Patient?_profile={url}y").keys() != asked.keys()


def test_probe_keys_hold_what_a_database_can_store():
    values = SearchValues({"resourceType": "Patient", "id": "p", "identifier": [{"value": "a\0b"}, {"value": "\ud800"}]})
    for key in probe_keys(values):
        assert "\0" not in key and key.encode()


@settings(max_examples=400, deadline=None)
@given(cases())
def test_criteria_that_matches_is_found_by_its_keys(case):
    text, resource = case
    asked, values = parse(text, BASE), SearchValues(resource, BASE)
    assert not asked.test(values) or set(asked.keys()) & probes(asked, values)


@settings(max_examples=400, deadline=None)
@given(cases())
def test_canonical_text_asks_the_same(case):
    text, resource = case
    asked, again = parse(text, BASE), parse(parse(text, BASE).canonical())
    assert again.canonical() == asked.canonical()
    values = SearchValues(resource, BASE)
    assert (again.test(values), again.keys()) == (asked.test(values), asked.keys())
