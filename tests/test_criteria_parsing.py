"""Which texts are a criteria, which are refused, and when two of them are the same question."""
import pytest

from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir.criteria import parse, parse_query

BASE = "http://example.org/fhir"


@pytest.mark.parametrize("text", [
    "Observation?code=a", "/Observation?code=a", BASE + "/Observation?code=a", " Observation?code=a ",
    "Observation?&code=a&", "Observation?code=a&_format=json&_pretty=true", "Observation?%63ode=%61"])
def test_parse_reads_the_forms_of_one_question(text):
    assert parse(text, BASE).canonical() == "Observation?code=a"


@pytest.mark.parametrize("text", ["Observation", "/Observation?", "Observation?_format=xml"])
def test_parse_reads_a_type_without_filter(text):
    asked = parse(text)
    assert (asked.canonical(), asked.predicates, asked.keys()) == ("Observation", (), ("Observation",))


@pytest.mark.parametrize(("text", "names"), [
    # R4 search: what needs other resources or terminology
    ("Patient?_has:Observation:patient:code=1", "_has"), ("Patient?_list=42", "_list"),
    ("Patient?_filter=name co x", "_filter"), ("Patient?_query=x", "_query"),
    ("Observation?subject.name=x", "subject.name"), ("Observation?subject:Patient.name=x", "subject:Patient.name"),
    ("Condition?code:in=vs", "code:in"), ("Patient?identifier:not-in=http://x", "identifier:not-in"),
    ("Patient?_id:in=http://x", "_id:in"), ("Condition?code:in=ValueSet/1|2", "code:in"),
    ("Condition?code:above=1", "code:above"), ("Condition?code:below=1", "code:below"), ("Location?near=1|2", "near"),
    ("Patient?family:text=x", "family:text"), ("Procedure?location:below=42", "location:below"),
    # what shapes a result
    ("Patient?_sort=name", "_sort"), ("Patient?_count=5", "_count"), ("Patient?_include=Patient:link", "_include"),
    ("Patient?_summary=true", "_summary"), ("Patient?_elements=id", "_elements"), ("Patient?_type=Patient", "_type"),
    # unknown names and modifiers, which R4 wants rejected
    ("Patient?nmae=x", "did you mean name"), ("Patient?Name=x", "Name"), ("Patient?family:not=x", "family:not"),
    ("Patient?birthdate:exact=1980", "birthdate:exact"), ("Patient?gender:exact=x", "gender:exact"),
    ("Patient?gender:=x", "gender:"), ("Patient?organization:Patient=1", "organization:Patient"),
    ("Observation?code-value-quantity:missing=true", "code-value-quantity:missing"),
    # values that cannot be right
    ("Patient?gender=", "gender"), ("Patient?gender", "gender"), ("Patient?gender=male,", "gender"),
    ("Patient?gender:missing=yes", "gender:missing"), ("Patient?birthdate=abc", "birthdate"),
    ("Patient?birthdate=xx1980", "prefix 'xx'"), ("Patient?birthdate=1980-13", "birthdate"), ("Patient?birthdate=gt", "birthdate"),
    ("Observation?date=2024-01-01T10", "date"), ("Observation?patient=Practitioner/1", "Patient"),
    ("Observation?patient=Foo/1", "patient"), ("Observation?patient=a b", "patient"), ("Observation?patient=Patient/", "patient"),
    ("Observation?subject:Patient=Group/1", "subject:Patient"), ("Observation?code=a|b|c", "code"), ("Observation?code=|", "code"),
    ("Patient?identifier:of-type=a|b", "identifier:of-type"), ("Patient?telecom=phone|555", "telecom"),
    ("Patient?_id=http://x|p1", "_id"), (r"Patient?family=a\b", "backslash"), ("Patient?family=a%5C", "backslash"),
    ("Patient?family=%20", "family"), ("Observation?value-quantity=high", "value-quantity"),
    ("Observation?value-quantity=5.4|mg", "value-quantity"), ("Observation?value-quantity=1e999999999", "value-quantity"),
    ("Observation?value-quantity=NaN", "value-quantity"), ("Observation?code-value-quantity=a", "code$value-quantity"),
    ("Observation?code-value-quantity=a$1$2", "code$value-quantity"), ("ValueSet?url:below=urn:oid:1.2", "url:below"),
    ("Patient?family=%FF", "UTF-8"), ("Patient?family=%00", "family"), ("ValueSet?url=http://a|1,http://b|2", "url"),
    # no search at all
    ("", "resource type"), ("?code=a", "resource type"), ("Patients?name=x", "did you mean Patient"), ("Patient/1", "Patient/1"),
    ("http://other.org/fhir/Patient?name=x", "resource type"), ("Resource?_id=1", "Resource"), ("//Patient", "Patient")])
def test_parse_refuses_and_names(text, names):
    with pytest.raises(UnsupportedCriteria) as refused:
        parse(text, BASE)
    assert names in str(refused.value)
    assert refused.value.status == 422


def test_parse_refuses_endless_lists_and_values():
    with pytest.raises(UnsupportedCriteria, match="split the criteria"):
        parse("Patient?_id=" + ",".join(map(str, range(401))))
    with pytest.raises(UnsupportedCriteria, match="8000 characters"):
        parse("Patient?family=" + "a" * 8001)


@pytest.mark.parametrize("texts", [
    ("Observation?status=final&code=b,a", "Observation?code=a,b,a&status=final&code=b,a"),
    ("Patient?family=EVE", "Patient?family=eve", "Patient?family=%C3%88ve"),
    ("Observation?patient=1", "Observation?patient=Patient/1", "Observation?patient:Patient=1",
     "Observation?subject:Patient=1".replace("subject:Patient", "patient"), f"Observation?patient={BASE}/Patient/1"),
    ("Observation?subject:Patient=1", "Observation?subject=Patient/1"),
    ("Observation?date=2024-01-01T01:00:00%2B01:00", "Observation?date=eq2024-01-01T00:00:00Z"),
    ("Observation?value-quantity=gt5.40", "Observation?value-quantity=gt5.4||"),
    ("Observation?value-quantity=5.40e-3", "Observation?value-quantity=0.00540"),
    ("Patient?identifier=|ABC", "Patient?identifier=|abc"), (r"Observation?code=a\,b", "Observation?code=a%5C%2Cb")])
def test_canonical_is_equal_for_equal_questions(texts):
    assert len({parse(text, BASE).canonical() for text in texts}) == 1


@pytest.mark.parametrize(("one", "other"), [
    ("Observation?code=a,b", r"Observation?code=a\,b"), ("Observation?code=a&code=b", "Observation?code=a,b"),
    ("Observation?code=a|b", r"Observation?code=a\|b"), ("Observation?code=A", "Observation?code=a"),
    ("Observation?code=a%26status=b", "Observation?code=a&status=b"), ("Observation?code=a%2525", "Observation?code=a%25"),
    ("Patient?family=a", "Patient?family:exact=a"), ("Observation?value-quantity=1e2", "Observation?value-quantity=100"),
    ("Observation?value-quantity=5.40", "Observation?value-quantity=5.4"), ("Observation?date=2024", "Observation?date=2024-01-01"),
    ("Observation?subject=1", "Observation?subject=Patient/1"), ("Observation?code=a%2Bb", "Observation?code=a+b"),
    ("Observation?value-quantity=5||mg", "Observation?value-quantity=5|http://unitsofmeasure.org|mg")])
def test_canonical_differs_for_different_questions(one, other):
    assert parse(one).canonical() != parse(other).canonical()


def test_parse_query_takes_decoded_pairs():
    asked = parse_query("Patient", [("family", "100% & more"), ("gender:not", "male")])
    assert asked == parse("Patient?family=100%25%20%26%20more&gender:not=male")
