"""Searching in a compartment. Spec: https://hl7.org/fhir/R4/compartmentdefinition.html"""
import pytest
from fhir_client import BASE, assert_refused, client, make_client, observation, patient  # noqa: F401

from fhirsub.fhir.definitions.compartments import COMPARTMENTS, members
from fhirsub.fhir.definitions.parameters import search_parameters
from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.validation import check

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def to(reference):
    return {"reference": reference}


@pytest.fixture
def ward(client):
    client.put_all(
        patient(id="anna", link=[{"other": to("Patient/twin"), "type": "seealso"}]), patient(id="twin"),
        patient(id="bert", generalPractitioner=[to("Practitioner/doc")]),
        {"resourceType": "Practitioner", "id": "doc"},
        {"resourceType": "RelatedPerson", "id": "aunt", "patient": to("Patient/anna")},
        {"resourceType": "Encounter", "id": "visit", "status": "planned", "class": {"code": "AMB"},
         "subject": to("Patient/anna"), "participant": [{"individual": to("Practitioner/doc")}]},
        observation("1", id="about", subject=to("Patient/anna"), encounter=to("Encounter/visit")),
        observation("2", id="by", subject=to("Patient/bert"), performer=[to(f"{BASE}/Patient/anna")]),
        observation("3", id="both", subject=to("Patient/anna"), performer=[to("Patient/anna")],
                    device=to("Device/scale")),
        observation("4", id="bert", subject=to("Patient/bert"), performer=[to("Practitioner/doc")]))
    return client


def found(response):
    assert response.status_code == 200, response.text
    check(response.resource, "Bundle")
    return sorted(f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                  for entry in response.resource.get("entry", []))


@pytest.mark.parametrize("path, expected", [
    ("Patient/anna/Observation", "Observation/about Observation/both Observation/by"),
    ("Patient/anna/Observation?code=1,2", "Observation/about Observation/by"),
    ("Patient/anna/Observation?subject=Patient/bert", "Observation/by"),
    ("Patient/anna/Encounter", "Encounter/visit"),
    ("Patient/anna/RelatedPerson", "RelatedPerson/aunt"),
    ("Patient/twin/Patient", "Patient/anna"),
    ("Patient/nobody/Observation", ""),
    ("Patient/anna/*", "Encounter/visit Observation/about Observation/both Observation/by RelatedPerson/aunt"),
    ("Patient/anna/*?_type=Encounter,RelatedPerson", "Encounter/visit RelatedPerson/aunt"),
    ("Patient/anna/*?_type=Observation&code=1", "Observation/about"),
    ("Patient/anna/*?_id=visit,about,bert", "Encounter/visit Observation/about"),
    ("Encounter/visit/Observation", "Observation/about"),
    ("Encounter/visit/*", "Encounter/visit Observation/about"),
    ("Practitioner/doc/*", "Encounter/visit Observation/bert Patient/bert Practitioner/doc"),
    ("RelatedPerson/aunt/RelatedPerson", "RelatedPerson/aunt"),
    ("Device/scale/Observation", "Observation/both"),
])
def test_compartment_holds_what_its_definition_says(ward, path, expected):
    assert found(ward.get(path)) == expected.split()


def test_compartment_search_by_post_is_the_same(ward):
    response = ward.post("Patient/anna/Observation/_search", "code=1", **FORM)
    assert found(response) == ["Observation/about"]
    assert response.resource["link"][0]["url"] == f"{BASE}/Patient/anna/Observation?code=1"
    assert found(ward.post("Patient/anna/*/_search", "_type=Encounter", **FORM)) == ["Encounter/visit"]


def test_compartment_pages_stay_inside(ward):
    url, ids = f"{BASE}/Patient/anna/*?_count=2&_sort=-_id", []
    while url:
        bundle = ward.get(url.removeprefix(f"{BASE}/")).resource
        assert bundle["total"] == 5
        ids += [entry["resource"]["id"] for entry in bundle["entry"]]
        ward.create(observation("5", subject=to("Patient/bert")))
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
    assert ids == ["visit", "by", "both", "aunt", "about"]


def test_compartment_takes_result_parameters(ward):
    bundle = ward.get("Patient/anna/Observation?_id=about&_include=Observation:encounter&_elements=status").resource
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include"]
    assert ward.count("Patient/anna/Observation") == 3


def test_compartment_search_runs_in_a_batch(ward):
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/anna/Observation?code=1"}}]}
    assert ward.post("", batch).resource["entry"][0]["resource"]["total"] == 1


@pytest.mark.parametrize("path, status, words", [
    ("Patient/anna/Practitioner", 404, ("Practitioner", "Patient")), ("Device/scale/Device", 404, ("Device",)),
    ("Organization/1/Patient", 404, ()), ("Patient/anna/Nonsense", 404, ()), ("Patient/an_na/Observation", 404, ()),
    ("Patient/anna/*/1", 404, ()), ("Patient/*", 404, ()),
    ("Patient/anna/*?_type=Practitioner", 400, ("Practitioner",)), ("Patient/anna/*?code=1", 400, ("code", "_type")),
    ("Patient/anna/Observation?_type=Observation", 400, ("_type",)),
    ("Patient/anna/Observation?code:nonsense=1", 400, ("nonsense",)),
])
def test_what_is_no_compartment_is_refused(ward, path, status, words):
    assert_refused(ward.get(path), status, *words)


def test_compartment_has_only_types_served(database):
    client = make_client(database, RESOURCE_TYPES="Patient Observation")
    assert_refused(client.get("Patient/1/Encounter"), 404)
    assert client.count("Patient/1/*") == 0


def test_definitions_name_search_parameters_that_lead_there():
    assert sum(len(members(name)) for name in COMPARTMENTS) == 214
    for compartment in COMPARTMENTS:
        for kind, codes in members(compartment).items():
            assert kind in RESOURCE_TYPES and codes
            for code in codes:
                parameter = search_parameters(kind)[code]
                assert code == "_id" or parameter.type == "reference" and compartment in parameter.targets
