"""_include and _revinclude. Spec: https://hl7.org/fhir/R4/search.html#include"""
import pytest
from fhir_client import BASE, assert_refused, client, identified, make_client, observation, patient  # noqa: F401

from fhirsub.fhir.validation import check
from fhirsub.store import including
from fhirsub.web.interactions import including as interactions


def named(kind, id, **more):
    return {"resourceType": kind, "id": id, **more}


def to(reference):
    return {"reference": reference}


@pytest.fixture
def ward(client):
    """Two observations of one patient, who has a practitioner; locations that are parts of each other."""
    client.put_all(
        named("Practitioner", "doc"), named("Organization", "org"),
        named("Patient", "anna", gender="female", generalPractitioner=[to("Practitioner/doc")],
              managingOrganization=to(f"{BASE}/Organization/org")),
        named("Location", "house"), named("Location", "floor", partOf=to("Location/house")),
        named("Location", "room", partOf=to("Location/floor")),
        observation(id="one", subject=to("Patient/anna"), performer=[to("Practitioner/doc")]),
        observation(id="two", subject=to("Patient/anna"), hasMember=[to("Observation/one")]),
        observation(id="far", subject=to("http://elsewhere.org/Patient/anna")),
        observation(id="lost", subject=to("Patient/nobody")))
    return client


def entries(bundle, mode):
    return [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in bundle.get("entry", [])
            if entry["search"]["mode"] == mode]


def included(client, query):
    bundle = client.get(query).resource
    check(bundle, "Bundle")
    return set(entries(bundle, "include"))


@pytest.mark.parametrize("query, expected", [
    ("Observation?_id=one&_include=Observation:subject", {"Patient/anna"}),
    ("Observation?_id=one&_include=Observation:patient", {"Patient/anna"}),
    ("Observation?_id=one&_include=Observation:subject:Patient", {"Patient/anna"}),
    ("Observation?_id=one&_include=Observation:subject:Group", set()),
    ("Observation?_id=one&_include=Observation:subject&_include=Observation:performer",
     {"Patient/anna", "Practitioner/doc"}),
    ("Observation?_id=one&_include=*", {"Patient/anna", "Practitioner/doc"}),
    ("Observation?_id=one&_include=Observation:*", {"Patient/anna", "Practitioner/doc"}),
    ("Observation?_id=one&_include=Observation:*:Practitioner", {"Practitioner/doc"}),
    ("Patient?_include=Patient:organization", {"Organization/org"}),
    ("Observation?_id=far,lost&_include=*", set()),
    ("Observation?_id=none&_include=*", set()),
])
def test_include_adds_what_is_referred_to(ward, query, expected):
    """"_include=[source resource type]:[parameter]:[target type]"; "_include=*" """
    assert included(ward, query) == expected


@pytest.mark.parametrize("query, expected", [
    ("Patient?_id=anna&_revinclude=Observation:subject", {"Observation/one", "Observation/two"}),
    ("Patient?_id=anna&_revinclude=Observation:subject:Patient", {"Observation/one", "Observation/two"}),
    ("Patient?_id=anna&_revinclude=Observation:*", {"Observation/one", "Observation/two"}),
    ("Practitioner?_revinclude=*", {"Patient/anna", "Observation/one"}),
    ("Practitioner?_revinclude=Observation:performer&_revinclude=Patient:general-practitioner",
     {"Patient/anna", "Observation/one"}),
    ("Observation?_id=one&_revinclude=Observation:has-member&_include=Observation:subject",
     {"Patient/anna", "Observation/two"}),
    ("Organization?_revinclude=Patient:organization", {"Patient/anna"}),
])
def test_revinclude_adds_what_refers(ward, query, expected):
    assert included(ward, query) == expected


@pytest.mark.parametrize("query, expected", [
    ("Observation?_id=one&_include=Observation:subject&_include=Patient:general-practitioner:Practitioner", None),
    ("Observation?_id=two&_include=Observation:subject&_include:iterate=Patient:general-practitioner",
     {"Patient/anna", "Practitioner/doc"}),
    ("Location?_id=room&_include=Location:partof", {"Location/floor"}),
    ("Location?_id=room&_include:iterate=Location:partof", {"Location/floor", "Location/house"}),
    ("Location?_id=house&_revinclude:iterate=Location:partof", {"Location/floor", "Location/room"}),
    ("Observation?_id=two&_include=Observation:subject&_revinclude:iterate=Observation:subject:Patient",
     {"Patient/anna", "Observation/one"}),
    ("Practitioner?_revinclude=Patient:general-practitioner&_revinclude:iterate=Observation:patient",
     {"Patient/anna", "Observation/one", "Observation/two"}),
    ("Observation?_id=two&_include:iterate=*", {"Observation/one", "Patient/anna", "Practitioner/doc",
                                                "Organization/org"}),
])
def test_iterate_follows_what_is_included(ward, query, expected):
    """"the _include and _revinclude parameters … do not operate on included resources unless :iterate is used"""
    if expected is None:
        assert_refused(ward.get(query), 400, "_include:iterate", "Patient")
    else:
        assert included(ward, query) == expected


def test_canonical_references_are_followed_both_ways(ward):
    url = "http://example.org/q"
    ward.put("Questionnaire/q", named("Questionnaire", "q", url=url, version="2", status="active"))
    ward.put("QuestionnaireResponse/a", named("QuestionnaireResponse", "a", questionnaire=f"{url}|2", status="completed"))
    ward.put("QuestionnaireResponse/b", named("QuestionnaireResponse", "b", questionnaire="urn:x", status="completed"))
    parameter = "QuestionnaireResponse:questionnaire"
    assert included(ward, f"QuestionnaireResponse?_include={parameter}") == {"Questionnaire/q"}
    assert included(ward, f"Questionnaire?_revinclude={parameter}") == {"QuestionnaireResponse/a"}
    assert included(ward, "Questionnaire?_revinclude=*") == {"QuestionnaireResponse/a"}


def test_iterate_ends_where_references_go_round(ward):
    ward.put("Location/house", named("Location", "house", partOf=to("Location/room")))
    assert included(ward, "Location?_id=room&_include:iterate=Location:partof") == {"Location/floor", "Location/house"}


def test_iterate_stops_at_its_depth_and_says_so(ward, monkeypatch):
    monkeypatch.setattr(including, "MAX_DEPTH", 1)
    bundle = ward.get("Location?_id=room&_include:iterate=Location:partof").resource
    assert entries(bundle, "include") == ["Location/floor"]
    check(bundle, "Bundle")
    assert bundle["entry"][-1]["search"]["mode"] == "outcome"
    assert ":iterate" in bundle["entry"][-1]["resource"]["issue"][0]["diagnostics"]


def test_iterate_to_the_last_level_is_complete(ward, monkeypatch):
    monkeypatch.setattr(including, "MAX_DEPTH", 2)
    bundle = ward.get("Location?_id=room&_include:iterate=Location:partof").resource
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == ["match", "include", "include"]


@pytest.mark.parametrize("limit, modes", [(1, ["match", "include", "outcome"]), (2, ["match", "include", "include"])])
def test_include_stops_at_its_number_and_says_so(ward, monkeypatch, limit, modes):
    monkeypatch.setattr(interactions, "MAX_INCLUDED", limit)
    bundle = ward.get("Patient?_id=anna&_revinclude=Observation:subject").resource
    assert [entry["search"]["mode"] for entry in bundle["entry"]] == modes


def test_a_match_is_not_included_again(ward):
    """"the server … SHALL NOT include duplicates"""
    query = "_include=Observation:has-member&_include=*&_revinclude=Observation:has-member"
    bundle = ward.get(f"Observation?{query}").resource
    assert len(entries(bundle, "match")) == 4
    assert sorted(entries(bundle, "include")) == ["Patient/anna", "Practitioner/doc"]
    assert bundle["total"] == 4


def test_every_page_includes_its_own(ward):
    url, pages = "Observation?_id=one,two&_count=1&_include=Observation:subject", 0
    while url:
        bundle = ward.get(url).resource
        assert len(entries(bundle, "match")) == 1 and entries(bundle, "include") == ["Patient/anna"]
        url = next((one["url"].removeprefix(f"{BASE}/") for one in bundle["link"] if one["relation"] == "next"), None)
        pages += 1
    assert pages == 2


def test_what_is_deleted_is_not_included(ward):
    ward.delete("Patient/anna")
    assert included(ward, "Observation?_id=one&_include=Observation:subject") == set()
    ward.delete("Observation/one")
    assert included(ward, "Practitioner?_revinclude=Observation:performer") == set()


def test_included_is_the_current_version(ward):
    ward.put("Observation/one", observation(id="one", subject=to("Patient/anna/_history/1")))
    ward.put("Patient/anna", named("Patient", "anna", gender="other"))
    bundle = ward.get("Observation?_id=one&_include=Observation:subject").resource
    assert bundle["entry"][1]["resource"]["gender"] == "other"
    assert bundle["entry"][1]["fullUrl"] == f"{BASE}/Patient/anna"


@pytest.mark.parametrize("query, there", [("_summary=true", {"gender"}), ("_elements=gender", {"gender"}),
                                          ("_summary=data", {"gender", "managingOrganization"})])
def test_included_are_parts_too_when_asked(ward, query, there):
    found = ward.get(f"Observation?_id=one&_include=Observation:subject&{query}").resource["entry"][1]["resource"]
    assert there <= set(found) and found["meta"]["tag"][0]["code"] == "SUBSETTED"


def test_count_includes_nothing(ward):
    for query in ("_summary=count", "_count=0"):
        bundle = ward.get(f"Observation?_include=*&{query}").resource
        assert bundle["total"] == 4 and "entry" not in bundle


@pytest.mark.parametrize("query, words", [
    ("Observation?_include=subject", ("Observation:subject:Patient",)),
    ("Observation?_include=", ("Type:parameter",)),
    ("Observation?_include=Observation:", ("Type:parameter",)),
    ("Observation?_include=Observation:subject:", ("Type:parameter",)),
    ("Observation?_include=Observation:subject:Patient:x", ("Type:parameter",)),
    ("Observation?_include=Observatoin:subject", ("Observation?",)),
    ("Observation?_include=Observation:nonsense", ("nonsense", "subject")),
    ("Observation?_include=Observation:code", ("code", "reference")),
    ("Observation?_include=Observation:subject:Practitioner", ("cannot lead to Practitioner",)),
    ("Observation?_include=Observation:subject:Nobody", ("Nobody",)),
    ("Observation?_include=Patient:organization", ("Patient", "Observation", ":iterate")),
    ("Observation?_revinclude=Encounter:subject", ("Observation", "_revinclude:iterate")),
    ("Observation?_include:recurse=Observation:subject", (":iterate",)),
    ("Observation?_include=*&_summary=text", ("_summary=text",)),
    ("Observation?" + "&".join(["_include=*"] * 51), ("50",)),
])
def test_include_that_can_include_nothing_is_refused(ward, query, words):
    assert_refused(ward.get(query), 400, *words)


def test_statement_lists_what_can_be_included(client):
    listed = {one["type"]: one for one in client.get("metadata").resource["rest"][0]["resource"]}
    assert {"*", "Observation:subject"} <= set(listed["Observation"]["searchInclude"])
    assert {"*", "Observation:patient", "Patient:link"} <= set(listed["Patient"]["searchRevInclude"])
    assert "Observation:code" not in listed["Observation"]["searchInclude"]
    for name in listed["Observation"]["searchInclude"][:5]:
        assert client.get(f"Observation?_include={name}").status_code == 200
    for name in listed["Observation"]["searchRevInclude"][:5]:
        assert client.get(f"Observation?_revinclude={name}").status_code == 200
