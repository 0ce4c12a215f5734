"""Chains, reverse chains and lists in searches and conditions over HTTP.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
import pytest
from fhir_client import BASE, assert_refused, client, identified, observation  # noqa: F401


@pytest.fixture
def graph(client):
    """Eve and Otto of one clinic, a value of each, and a list that Otto was taken off."""
    entries = [{"item": {"reference": "Patient/eve"}}, {"item": {"reference": "Patient/otto"}, "deleted": True}]
    client.put_all(
        {"resourceType": "Organization", "id": "clinic", "name": "Köln"},
        *(identified(id, id=id, name=[{"family": family}], managingOrganization={"reference": "Organization/clinic"})
          for id, family in (("eve", "Eve"), ("otto", "Otto"))),
        observation("718-7", id="1", subject={"reference": "Patient/eve"}),
        observation("8867-4", id="2", subject={"reference": f"{BASE}/Patient/otto"}),
        {"resourceType": "List", "id": "mine", "status": "current", "mode": "changes", "entry": entries})
    return client


@pytest.mark.parametrize(("query", "expected"), [
    ("Observation?subject:Patient.family=eve", ["1"]), ("Observation?patient.family=otto", ["2"]),
    ("Observation?patient.organization.name=koln&code=718-7", ["1"]), ("Observation?patient.family=nobody", []),
    ("Patient?_has:Observation:patient:code=http://loinc.org|8867-4", ["otto"]),
    ("Organization?_has:Patient:organization:_has:Observation:subject:code=718-7", ["clinic"]),
    ("?_type=Observation,Patient&_list=mine", ["eve"]), ("Patient/eve/Observation?patient.family=eve", ["1"]),
    ("Patient/eve/Observation?patient.family=otto", []), ("Patient?_list=mine", ["eve"]),
    ("Observation?patient._list=mine", ["1"]), ("Patient?_list=other", [])])
def test_search_follows_references(graph, query, expected):
    bundle = graph.get(query).resource
    assert [entry["resource"]["id"] for entry in bundle.get("entry", ())] == expected
    assert bundle["total"] == len(expected)


@pytest.mark.parametrize(("query", "words"), [
    ("Observation?subject.family=eve", "subject:Patient.family"), ("Observation?patient.nmae=eve", "did you mean name"),
    ("Patient?_has:Observation:code:status=x", "no reference parameter 'code'"), ("Patient?_has=x", "_has:Type:reference"),
    ("Patient?organization.name=", "a value is empty"),
    ("Patient?_list=$current-problems", "no functional lists")])
def test_search_refuses_what_leads_nowhere(client, query, words):
    assert_refused(client.get(query), 400, words)


def test_conditional_create_takes_chains(graph):
    condition = "patient.identifier=urn:mrn|eve&code=718-7"
    assert graph.post("Observation", observation(), If_None_Exist=condition).status_code == 200
    assert graph.post("Observation", observation(), If_None_Exist=condition.replace("eve", "none")).status_code == 201


def test_conditional_update_and_delete_take_chains(graph):
    assert graph.put("Observation?patient.family=eve", observation("1-1")).resource["id"] == "1"
    assert graph.delete("Observation?patient.family=otto").status_code in (200, 204)
    assert [graph.count(f"Observation?_id={id}") for id in "12"] == [1, 0]


def test_condition_with_a_chain_is_refused_where_the_transaction_writes_such_resources(graph):
    """Whether a resource that is not stored yet is selected cannot be told."""
    entries = [{"request": {"method": "POST", "url": "Observation"}, "resource": observation()},
               {"request": {"method": "PUT", "url": "Observation?patient.family=eve"}, "resource": observation()}]
    answer = graph.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert_refused(answer, 422, "Observation?patient:Patient.family=eve", "one resource alone cannot answer")


def test_conditional_reference_takes_reverse_chains(graph):
    subject = {"reference": "Patient?_has:Observation:patient:code=718-7"}
    entry = {"request": {"method": "POST", "url": "Observation"}, "resource": observation(subject=subject)}
    answer = graph.post("", {"resourceType": "Bundle", "type": "transaction", "entry": [entry]})
    assert answer.status_code == 200, answer.text
    assert graph.count("Observation?subject=Patient/eve") == 2
