"""Which names lead from one resource to others, what is read at their ends, and what is refused.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
import pytest

from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir.criteria import parse, parse_query
from fhirsub.fhir.search_values import SearchValues


@pytest.mark.parametrize(("name", "value", "canonical"), [
    ("subject:Patient.name", "Eve", "subject:Patient.name=eve"),
    ("patient.name", "Eve", "patient:Patient.name=eve"),
    ("patient.organization.name:contains", "Eve", "patient:Patient.organization:Organization.name:contains=eve"),
    ("subject.identifier", "http://s|1,2", "subject.identifier=2,http://s|1"),
    ("subject:Patient.general-practitioner:Practitioner.family:exact", "Eve",
     "subject:Patient.general-practitioner:Practitioner.family:exact=Eve"),
    ("patient._id", "1", "patient:Patient._id=1"),
    ("patient._lastUpdated", "gt2024", "patient:Patient._lastUpdated=gt2024"),
    ("patient.birthdate:missing", "true", "patient:Patient.birthdate:missing=true"),
    ("patient.gender:not", "male", "patient:Patient.gender:not=male"),
    ("patient._has:Encounter:patient:status", "planned", "patient:Patient._has:Encounter:patient:status=planned"),
    ("_list", "42", "_list=42"),
    ("patient._list", "42", "patient:Patient._list=42")])
def test_chain_reads_the_parameter_at_its_end(name, value, canonical):
    assert parse_query("Observation", [(name, value)]).canonical() == f"Observation?{canonical}"


@pytest.mark.parametrize(("name", "canonical"), [
    ("_has:Observation:patient:code", "_has:Observation:patient:code=x"),
    ("_has:Observation:subject:code:not", "_has:Observation:subject:code:not=x"),
    ("_has:Observation:patient:_has:AuditEvent:entity:outcome",
     "_has:Observation:patient:_has:AuditEvent:entity:outcome=x"),
    ("_has:Observation:patient:performer:Practitioner.name",
     "_has:Observation:patient:performer:Practitioner.name=x")])
def test_reverse_chain_reads_the_parameter_of_the_other_type(name, canonical):
    assert parse_query("Patient", [(name, "x")]).canonical() == f"Patient?{canonical}"


def test_chain_without_type_asks_every_type_that_it_may_lead_to():
    (chain,) = parse_query("Observation", [("subject.identifier", "1")]).predicates
    assert sorted(end.type for end in chain.ends) == ["Device", "Group", "Location", "Patient"]


def test_equal_chains_are_one_predicate():
    pairs = [("patient.name", "Eve"), ("patient:Patient.name", "EVE"), ("patient.name", "A")]
    asked = parse_query("Observation", pairs)
    assert asked.canonical() == "Observation?patient:Patient.name=a&patient:Patient.name=eve"


@pytest.mark.parametrize(("name", "value", "words"), [
    ("subject.name", "x", "subject may lead to Device, Group, Location, Patient; say which"),
    ("subject.name", "x", "e.g. subject:Patient.name"),
    ("subject:Practitioner.name", "x", "cannot lead to 'Practitioner'; expected one of Device, Group"),
    ("subject:.name", "x", "cannot lead to ''"), ("subject:Patient.", "x", "expected a chain"),
    (".name", "x", "expected a chain"), ("patient:Patient:Patient.name", "x", "expected a chain"),
    ("code.name", "x", "no reference parameter 'code'; it has"),
    ("nonsense.name", "x", "no reference parameter 'nonsense'"),
    ("patient.nmae", "x", "Patient?nmae: no such search parameter; did you mean name?"),
    ("patient.name:nonsense", "x", "Patient?name:nonsense"), ("patient.birthdate", "soon", "Patient?birthdate"),
    ("patient.name", "", "a value is empty"), ("patient.organization", "Patient/1", "cannot lead to 'Patient'"),
    ("patient.general-practitioner.family", "x", "general-practitioner may lead to Organization, Practitioner"),
    ("patient" + ".link:Patient" * 10 + ".name", "x", "more than 10 links"),
    ("_has", "x", "expected _has:Type:reference:parameter"), ("_has:Observation:patient", "x", "expected _has:Type"),
    ("_has:Obs:patient:code", "x", "expected _has:Type"),
    ("_has:AuditEvent:outcome:type", "x", "no reference parameter"),
    ("_has:AuditEvent:agent:nonsense", "x", "cannot lead to Observation, only to Device"),
    ("_has:AuditEvent:entity:nonsense", "x", "AuditEvent?nonsense"),
    ("_list:not", "1", "without modifier"), ("_list", "$current-problems", "no functional lists"),
    ("_list", "a|1", "an id has no"),
    ("patient._text", "-", "_text"), ("patient._sort", "name", "_sort")])
def test_chain_refuses_and_says_what_would_do(name, value, words):
    with pytest.raises(UnsupportedCriteria) as refused:
        parse_query("Observation", [(name, value)])
    assert words in str(refused.value)


@pytest.mark.parametrize(("resource_type", "name"), [
    ("QuestionnaireResponse", "questionnaire.title"), ("Bundle", "composition.title"),
    ("ConceptMap", "source-uri.name")])
def test_chain_follows_references_only(resource_type, name):
    with pytest.raises(UnsupportedCriteria, match="holds no references"):
        parse_query(resource_type, [(name, "x")])


def test_chain_counts_the_values_of_all_its_ends():
    with pytest.raises(UnsupportedCriteria, match="split the criteria"):
        parse_query("Observation", [("subject.identifier", ",".join(map(str, range(101))))])


def test_chains_of_one_search_are_limited_together():
    with pytest.raises(UnsupportedCriteria, match="more than 50 links in all chains"):
        parse_query("Observation", [("patient.link:Patient.name", f"x{number}") for number in range(26)])


@pytest.mark.parametrize("query", ["patient.name=x", "_has:AuditEvent:entity:outcome=0", "_list=42"])
def test_only_a_search_takes_what_one_resource_cannot_decide(query):
    with pytest.raises(UnsupportedCriteria, match="needs other resources than the one written"):
        parse(f"Observation?{query}")
    asked = parse_query("Observation", [tuple(query.split("="))])
    assert not asked.alone and parse_query("Observation", [("patient", "1")]).alone
    with pytest.raises(UnsupportedCriteria, match="asks about other resources"):
        asked.test(SearchValues({"resourceType": "Observation", "id": "1"}))


@pytest.mark.parametrize("query", ["_has:AuditEvent:entity:outcome=0", "_list=42", "patient._has:Encounter:patient:status=x",
                                   "patient._list=42"])
def test_criteria_with_chains_takes_none_that_lead_back(query):
    assert parse("Observation?patient.name=x", chains=True).canonical() == "Observation?patient:Patient.name=x"
    with pytest.raises(UnsupportedCriteria, match="needs other resources than the one written"):
        parse(f"Observation?{query}", chains=True)
