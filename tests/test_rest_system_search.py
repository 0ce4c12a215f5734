"""Searching over several types. Spec: https://hl7.org/fhir/R4/http.html#search"""
import pytest
from fhir_client import BASE, assert_refused, client, make_client, observation, patient  # noqa: F401

from fhirsub.fhir.validation import check

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
TAG = {"tag": [{"system": "urn:t", "code": "a"}]}


def to(reference):
    return {"reference": reference}


@pytest.fixture
def mixed(client):
    client.put_all(
        patient(id="p1", meta=TAG, gender="male", birthDate="1980-01-01"), patient(id="p2", active=True),
        observation("1", id="o1", meta=TAG, subject=to("Patient/p1"), effectiveDateTime="2024-01-01"),
        observation("2", id="o2", subject=to("Patient/p2"), effectiveDateTime="2022-01-01"),
        {"resourceType": "Condition", "id": "c1", "subject": to("Patient/p1"), "code": {"coding": [{"code": "1"}]}},
        {"resourceType": "Organization", "id": "org", "active": True},
        {"resourceType": "Encounter", "id": "e1", "status": "planned", "class": {"code": "AMB"},
         "subject": to("Patient/p1"), "period": {"start": "2023-01-01", "end": "2023-01-02"}})
    return client


def ids(response):
    assert response.status_code == 200, response.text
    check(response.resource, "Bundle")
    return [entry["resource"]["id"] for entry in response.resource.get("entry", [])
            if entry["search"]["mode"] == "match"]


@pytest.mark.parametrize("query, expected", [
    ("_type=Patient,Observation", "p1 p2 o1 o2"),
    ("_type=Observation,Condition&patient=Patient/p1", "o1 c1"),
    ("_type=Condition,Observation&code=1", "o1 c1"),
    ("_type=Patient,Observation&_tag=urn:t|a", "p1 o1"),
    ("_type=Patient,Observation&_tag:not=urn:t|a", "p2 o2"),
    ("_type=Patient,Organization&active=true", "p2 org"),
    ("_type=Patient&gender=male", "p1"),
    ("_type=Patient,Observation&_lastUpdated=gt2001-01-01", "p1 p2 o1 o2"),
    ("_type=Patient,Observation&_lastUpdated=lt2001-01-01", ""),
    ("_tag=urn:t|a", "p1 o1"), ("_id=o2,org,nobody", "o2 org"), ("", "p1 p2 o1 o2 c1 org e1"),
    ("_type=Observation,Encounter&_sort=date", "o2 e1 o1"), ("_type=Observation,Encounter&_sort=-date", "o1 e1 o2"),
    ("_sort=-_id", "p2 p1 org o2 o1 e1 c1"), ("_type=Patient,Observation&_sort=_id&_count=1", "o1"),
])
@pytest.mark.parametrize("path", ["", "_search"])
def test_search_over_types(mixed, path, query, expected):
    """"GET [base]?[parameters]": "parameters … that are shared by all the types" """
    assert ids(mixed.get(f"{path}?{query}")) == expected.split()


def test_search_by_post_is_the_same(mixed):
    response = mixed.post("_search?_type=Patient", "active=true", **FORM)
    assert ids(response) == ["p2"]
    assert response.resource["link"] == [{"relation": "self", "url": f"{BASE}?_type=Patient&active=true"}]
    assert_refused(mixed.post("_search", {"resourceType": "Parameters"}), 415, "x-www-form-urlencoded")


@pytest.mark.parametrize("query", ["_type=Patient,Observation&_count=1", "_count=2&_sort=-_lastUpdated",
                                   "_type=Observation,Encounter&_sort=-date&_count=1"])
def test_pages_are_stable_while_others_write(mixed, query):
    total = mixed.get(f"?{query}").resource["total"]
    url, found = f"?{query}", []
    while url:
        bundle = mixed.get(url.removeprefix(BASE)).resource
        found += [entry["resource"]["id"] for entry in bundle["entry"]]
        mixed.put("Patient/a1", patient(id="a1"))
        url = next((one["url"] for one in bundle["link"] if one["relation"] == "next"), None)
    assert len([id for id in found if id != "a1"]) == len(set(found) - {"a1"}) == total


def test_search_over_types_includes(mixed):
    query = "_type=Observation,Condition&_include=Observation:subject&_include=Condition:encounter"
    bundle = mixed.get(f"?{query}").resource
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == ["o1", "o2", "c1", "p1", "p2"]
    assert_refused(mixed.get("?_type=Observation,Condition&_include=Encounter:subject"), 400, "Condition, Observation")


def test_search_over_every_type_includes_both_ways(mixed):
    bundle = mixed.get("?_count=3&_include:iterate=*&_revinclude:iterate=*").resource
    check(bundle, "Bundle")
    found = [(entry["resource"]["id"], entry["search"]["mode"]) for entry in bundle["entry"]]
    assert found == [("p1", "match"), ("p2", "match"), ("o1", "match"),
                     ("o2", "include"), ("c1", "include"), ("e1", "include")]


def test_revinclude_takes_a_page_of_many_types(client):
    kinds = [one["type"] for one in client.get("metadata").resource["rest"][0]["resource"]]
    plain = [kind for kind in kinds if client.put(f"{kind}/x", {"resourceType": kind, "id": "x"}).status_code == 201]
    assert len(plain) > 20
    bundle = client.get("?_include:iterate=*&_revinclude:iterate=*").resource
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match"] * len(plain)


def test_search_over_types_counts_and_subsets(mixed):
    assert mixed.get("?_type=Patient,Observation&_summary=count").resource["total"] == 4
    assert "total" not in mixed.get("?_type=Patient,Observation&_total=none").resource
    assert all("status" not in entry["resource"] or entry["resource"]["resourceType"] != "Patient"
               for entry in mixed.get("?_elements=id&_type=Patient").resource["entry"])


def test_unknown_parameter_is_ignored_and_said_so(mixed):
    bundle = mixed.get("?_type=Patient&nonsense=1").resource
    assert bundle["total"] == 2 and "nonsense" in bundle["entry"][-1]["resource"]["issue"][0]["diagnostics"]
    assert bundle["link"][0]["url"] == f"{BASE}?_type=Patient"
    assert_refused(mixed.get("?nonsense=1", Prefer="handling=strict"), 400, "nonsense")


@pytest.mark.parametrize("query, words", [
    ("gender=male", ("gender", "_type")),
    ("_type=Patient,Observation&gender=male", ("gender", "Patient", "Observation")),
    ("_type=Patient,Nonsense", ("Nonsense",)), ("_type=", ("_type",)), ("_type=Patient&_type=Observation", ("_type",)),
    ("_type:not=Patient", ("_type",)), ("_sort=birthdate", ("birthdate",)),
    ("_type=Patient,Observation&_sort=birthdate", ("birthdate",)),
    ("_type=Patient,Observation&_sort=nonsense", ("_sort",)),
    ("_filter=x", ("_filter",)), ("_text=-", ("_text",)), ("_tag:nonsense=x", ("nonsense",)),
    ("_source=" + ",".join(f"urn:{number}" for number in range(401)), ("400",)),
    ("_contained=true", ("_contained",)), ("_contained=both", ("_contained",)),
    ("_containedType=container", ("_containedType",)), ("_total=some", ("accurate",)),
])
def test_search_over_types_refuses_what_it_cannot_answer(mixed, query, words):
    assert_refused(mixed.get(f"?{query}"), 400, *words)


@pytest.mark.parametrize("query", [
    "_tag=" + ",".join(f"urn:t|{number}" for number in range(400)),
    "_source:above=http://example.org/" + "a" * 400, "_id=" + ",".join(map(str, range(400)))])
def test_search_over_every_type_takes_many_values(mixed, query):
    assert mixed.get(f"?{query}").resource["total"] == 0


def test_search_in_a_compartment_with_too_many_values_is_refused(mixed):
    tags = ",".join(f"urn:t|{number}" for number in range(300))
    assert_refused(mixed.get(f"Practitioner/1/*?_tag={tags}"), 400, "5000")


@pytest.mark.parametrize("path", ["Patient", "", "Patient/1/*"])
def test_contained_resources_are_not_searched(client, path):
    assert_refused(client.get(f"{path}?_contained=true"), 400, "_contained", "contain them")
    assert_refused(client.get(f"{path}?_containedType=contained"), 400, "_containedType")
    assert client.get(f"{path}?_contained=false").status_code == 200


def test_search_over_types_served_only(database):
    client = make_client(database, RESOURCE_TYPES="Patient Observation")
    assert client.get("?gender=male").status_code == 400
    assert client.get("?identifier=x").resource["total"] == 0
    assert_refused(client.get("?_type=Encounter"), 400, "Encounter")


def test_search_over_types_goes_through_lists_and_references(mixed):
    mixed.put("List/l", {"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [
        {"item": to("Patient/p2")}, {"item": to("Condition/c1")}]})
    assert ids(mixed.get("?_list=l")) == ["p2", "c1"]
    assert ids(mixed.get("?_type=Patient,Device&_has:Observation:subject:code=1")) == ["p1"]
    assert ids(mixed.get("?_type=Observation,Condition&patient.gender=male")) == ["o1", "c1"]
    assert_refused(mixed.get("?_type=Patient,Encounter&_has:Observation:subject:code=1"), 400, "Encounter")
