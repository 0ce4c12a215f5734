"""``fhirsub.matches``: criteria tried without a server."""
import json
from decimal import Decimal
from pathlib import Path

import pytest
from fhir.resources.R4B.patient import Patient

import fhirsub

BASE = "http://example.org/fhir"
CASES = [json.loads(line, parse_float=Decimal)
         for line in (Path(__file__).parent / "data" / "criteria_cases_sample.jsonl").read_text().splitlines()]
ANNA = {"resourceType": "Patient", "id": "anna", "gender": "female", "birthDate": "1980-04-12",
        "managingOrganization": {"reference": f"{BASE}/Organization/o1"}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_matches_as_the_case_says(case):
    if case["expect"] == "unsupported":
        with pytest.raises(fhirsub.UnsupportedCriteria):
            fhirsub.matches(case["criteria"], case["resource"], base_url=BASE)
    else:
        assert fhirsub.matches(case["criteria"], case["resource"], base_url=BASE) is case["expect"], case["source"]


@pytest.mark.parametrize("resource", [ANNA, json.dumps(ANNA), json.dumps(ANNA).encode(), Patient.model_validate(ANNA)],
                         ids=["dict", "text", "bytes", "fhir.resources"])
def test_resource_comes_in_several_forms(resource):
    assert fhirsub.matches("Patient?gender=female&birthdate=1980-04", resource) is True
    assert fhirsub.matches("Patient?gender=male", resource) is False


def test_resource_of_another_type_does_not_match():
    assert fhirsub.matches("Observation", ANNA) is False


def test_reference_below_base_url_is_the_servers_own():
    assert fhirsub.matches("Patient?organization=o1", ANNA, base_url=f"{BASE}/") is True
    assert fhirsub.matches("Patient?organization=o1", ANNA) is False


def test_numbers_decoded_as_float_compare_as_written():
    weight = json.loads('{"resourceType": "Observation", "valueQuantity": {"value": 0.1}}')
    assert fhirsub.matches("Observation?value-quantity=le0.1", weight) is True


def test_previous_is_checked_and_changes_nothing():
    assert fhirsub.matches("Patient?gender=female", ANNA, previous=ANNA | {"gender": "male"}) is True
    with pytest.raises(fhirsub.FHIRSubError, match="previous: expected .* Patient/anna; got Patient/bob"):
        fhirsub.matches("Patient", ANNA, previous=ANNA | {"id": "bob"})


@pytest.mark.parametrize("criteria, words", [
    ("Observation?subject.name=x", r"subject\.name: a chain .* e\.g\. subject=id"),
    ("Patient?_has:Observation:patient:code=1", "_has.* ask for what the resource itself says"),
    ("Observation?code:in=http://acme.org/vs", "code:in=.*list the codes instead"),
    ("Patient?gander=male", "gander.* did you mean gender"), ("Patient?_sort=_id", "_sort.* leave it out"),
    ("", "expected a search")])
def test_undecidable_criteria_are_refused_with_a_way_out(criteria, words):
    with pytest.raises(fhirsub.UnsupportedCriteria, match=words):
        fhirsub.matches(criteria, ANNA)


@pytest.mark.parametrize("resource", ["{", "[]", "7", {}, {"resourceType": "Pateint"}, {"resourceType": 7}, None])
def test_what_is_no_resource_is_refused(resource):
    with pytest.raises(fhirsub.FHIRSubError):
        fhirsub.matches("Patient", resource)
