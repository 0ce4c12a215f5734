"""What the index narrows: how many of many questions of a kind a write has to test does not grow with their number."""
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from pipeline import Pipeline
from questions import BASE, cases

from fhirsub.fhir.criteria import parse, probe_keys
from fhirsub.fhir.criteria.keys import access, needed_keys
from fhirsub.fhir.definitions.parameters import search_parameters
from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.search_values import SearchValues

MANY = 3_000
START = date(2020, 1, 1)
DAY = (date(2024, 5, 1) - START).days
LOINC = "http://loinc.org"


def _coded(code, value):
    coding = {"system": LOINC, "code": code, "display": f"Finding {code}"}
    return {"code": {"coding": [coding], "text": f"Finding {code}"}, "valueQuantity": {"value": value, "unit": "mmHg"}}


OBSERVATION = {"resourceType": "Observation", "id": "o", "status": "final", **_coded("c7", 140),
               "component": [_coded("c8", 90), _coded("c9", 60)], "effectiveDateTime": "2024-05-01",
               "text": {"status": "generated", "div": "<div>Measured while word11 sat, word12 stood</div>"}}
PATIENT = {"resourceType": "Patient", "id": "p",
           "name": [{"family": "van der Street0012", "given": ["Anna", "Jo13anne"]}]}

CONCEPT = {"text": "x", "coding": [{"code": "y"}]}
USE_CONTEXT = [{"code": {"system": LOINC, "code": "c1"}, f"value{kind}": value} for kind, value in (
    ("Quantity", {"value": 5}), ("Range", {"low": {"value": 5}}), ("CodeableConcept", CONCEPT))]
COMPOSED = {
    "DocumentReference": {"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/1"}}]},
    "Group": {"characteristic": [{"code": {"coding": [{"code": "a"}]}, f"value{kind}": value} for kind, value in (
        ("CodeableConcept", {"coding": [{"code": "b"}]}), ("Boolean", True), ("Quantity", {"value": 1}))]},
    "MolecularSequence": {"referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}, "windowStart": 1, "windowEnd": 9,
                                           "referenceSeqId": {"text": "x", "coding": [{"code": "NC_1"}]}},
                          "variant": [{"start": 2, "end": 3}, {"start": 5, "end": 8}]}}
OBSERVED = [("Quantity", {"value": 5}), ("CodeableConcept", CONCEPT), ("String", "text"), ("DateTime", "2024"),
            ("Period", {"start": "2024"})]
COMPOSITES = [(kind, code) for kind in sorted(RESOURCE_TYPES) for code, parameter in search_parameters(kind).items()
              if parameter.type == "composite"]


def _composed(kind):
    """Resources of the type in which its composites find something."""
    if kind == "Observation":
        return [{**OBSERVATION, f"value{name}": value, "component": [{**_coded("c8", 9), f"value{name}": value}]}
                for name, value in OBSERVED]
    return [{"resourceType": kind, "id": "x", "useContext": USE_CONTEXT, **COMPOSED.get(kind, {})}]


@pytest.mark.parametrize(("kind", "code"), COMPOSITES)
def test_composite_finds_nothing_that_its_parameters_do_not_find(kind, code):
    parameters, seen = search_parameters(kind), 0
    for values in map(SearchValues, _composed(kind)):
        for found in values[code]:
            for (name, _), part in zip(parameters[code].components, found.components, strict=True):
                assert set(part) <= set(values[parameters[name].code])
                seen += 1
    assert seen


def candidates(asked, resource):
    """The criteria that a write of this resource has to test if all of them are in use."""
    asked, values = {text: parse(text, BASE) for text in asked}, SearchValues(resource, BASE)
    needs = {need for one in asked.values() if (found := access(one.predicates)) for need in found.needs}
    probes = probe_keys(values).union(*(needed_keys(values, need) for need in needs))
    found = {text for text, one in asked.items() if not probes.isdisjoint(one.keys())}
    assert found >= {text for text, one in asked.items() if one.test(values)}
    return found


@pytest.mark.parametrize(("asked", "resource", "found"), [
    ("Observation?code-value-quantity=http://loinc.org|c{}$gt100", OBSERVATION, {7}),
    ("Observation?code-value-quantity=c{}$gt100,c{}x$lt5", OBSERVATION, {7}),
    ("Observation?component-code-value-quantity=http://loinc.org|c{}$gt50", OBSERVATION, {8, 9}),
    ("Observation?component-code-value-quantity=c{}$gt80", OBSERVATION, {8, 9}),   # code and value stand apart
    ("Observation?component-code-value-quantity=c{}$gt100", OBSERVATION, set()),
    ("Observation?combo-code-value-quantity=http://loinc.org|c{}$gt50", OBSERVATION, {7, 8, 9}),
    ("Observation?status=final&code-value-date=c{}$ge2024", OBSERVATION, {7}),
    ("Observation?code:text=c{} finding", OBSERVATION, set()),
    ("Observation?_text=word{}", OBSERVATION, {11, 12}),
    ("Observation?_content=measured word{}", OBSERVATION, {11, 12}),
    ("Observation?code=c7&value-quantity=ge{0}.5&value-quantity=lt{0}.9", OBSERVATION, set()),
    ("Observation?code=c7&value-quantity=gt{0}0", OBSERVATION, range(15)),
    ("Observation?code=http://loinc.org|c7&combo-value-quantity={0}", OBSERVATION, {60, 90, 140}),
    ("Observation?code-value-quantity=http://loinc.org|c7${0}", OBSERVATION, {140}),
    ("Observation?code=c7&date={2}", OBSERVATION, {DAY - 1, DAY}),    # a day ends in the hour where the next begins
    ("Observation?data-absent-reason:missing=false&code:not=c{}", OBSERVATION, set()),
    ("Patient?family:contains=street{:04}", PATIENT, {12}),
    ("Patient?name:contains=jo{}an", PATIENT, {1, 13})])
def test_few_of_many_questions_are_candidates(asked, resource, found):
    kind = [asked.format(number, number, START + timedelta(number)) for number in range(MANY)]
    assert candidates(kind, resource) == {kind[number] for number in found}


def test_text_with_too_many_pieces_is_looked_up_under_one_key():
    page = " ".join(f"{number:x}{number * 7919:x}" for number in range(3_000))
    values = SearchValues({"resourceType": "Patient", "id": "p", "name": [{"family": page}]})
    assert needed_keys(values, "part6:family") == {"Patient?family=part6"}
    assert "Patient?family=part6" in parse("Patient?family:contains=anything").keys()


def test_resource_with_too_many_pairs_is_looked_up_under_its_codes():
    crowded = OBSERVATION | {"code": {"coding": [{"system": LOINC, "code": f"c{number}"} for number in range(50)]},
                             "component": [_coded("c", number) for number in range(50)]}
    probes = needed_keys(SearchValues(crowded), "code+low:code&combo-value-quantity")
    assert probes == {f"Observation?code&combo-value-quantity=many c{number}" for number in range(50)}
    asked = "Observation?code=c7&combo-value-quantity=lt50"
    assert candidates([asked, asked.replace("c7", "c77")], crowded) == {asked}


@pytest.mark.parametrize("kind", ["pieces.MAX_PROBES", "pairs.MAX_PROBES"])
@settings(max_examples=200, deadline=None)
@given(case=cases())
def test_criteria_that_matches_is_found_where_little_is_looked_up(kind, case):
    text, resource = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"fhirsub.fhir.criteria.{kind}", 3)
        candidates([text], resource)


def test_code_with_a_long_list_of_others_is_filed_by_codes_alone():
    codes = ",".join(f"c{number}" for number in range(100))
    assert len(parse(f"Observation?code={codes}&value-quantity=gt5").keys()) == 100


@pytest.mark.parametrize(("resource", "old", "needs"), [
    (OBSERVATION, "Observation", []),                       # where composites, :text, _text and _content were filed
    (OBSERVATION, "Observation?code=http://loinc.org|c7", []), (OBSERVATION, "Observation?code=c7", []),
    (OBSERVATION, "Observation?value-quantity=high 10.5b1", ["high:value-quantity"]), (PATIENT, "Patient", []),
    (PATIENT, "Patient?family=begins van ", ["begins:family"])])
def test_resource_is_looked_up_where_earlier_releases_filed(resource, old, needs):
    values = SearchValues(resource)
    assert old in probe_keys(values).union(*(needed_keys(values, need) for need in needs))


def test_narrowed_questions_catch_what_they_match(database):
    asked = ["Observation?code-value-quantity=http://loinc.org|c7$gt100", "Patient?name:contains=13an",
             "Observation?code=c7&value-quantity=ge139&value-quantity=lt141", "Patient?family:contains=tr",
             "Observation?code:text=finding", "Observation?_content=sat measured"]
    p = Pipeline(database)
    for number, criteria in enumerate(asked):
        p.subscribe(criteria, id=f"s{number}")
    p.match()
    for resource in (OBSERVATION, OBSERVATION | {"id": "other", "code": {"text": "x"}, "text": {}}, PATIENT,
                     PATIENT | {"id": "other", "name": [{"family": "Tr"}]}):
        p.write(resource)
    p.match()
    caught = [[reference for _, reference in p.events(f"s{number}")] for number in range(len(asked))]
    assert caught == [["Observation/o/1"], ["Patient/p/1"], ["Observation/o/1"], ["Patient/p/1", "Patient/other/1"],
                      ["Observation/o/1"], ["Observation/o/1"]]
