"""What search parameters find, kind by kind. Spec: https://hl7.org/fhir/R4/search.html#ptypes"""
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.instants import span
from fhirsub.fhir.search_values import SearchValues
from fhirsub.fhir.search_values.strings import fold
from fhirsub.fhir.values import MAX, MIN, Composite, Date, Number, Quantity, Reference, String, Token, Uri

LOINC, UCUM = "http://loinc.org", "http://unitsofmeasure.org"
SPECIAL = "http://terminology.hl7.org/CodeSystem/special-values"


def find(resource_type, code, elements, base_url=""):
    return SearchValues({"resourceType": resource_type, **elements}, base_url)[code]


def strings(*texts):
    return tuple(String(fold(text), text) for text in texts)


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("Observation", "code", {"code": {"coding": [{"system": LOINC, "code": "1", "display": "One"}, {"code": "2"}], "text": "T"}},
     (Token(LOINC, "1", "One"), Token("", "2"), Token("", "", "T"))),
    ("Observation", "code", {"code": {"coding": [{"code": "2"}, {"code": "2"}]}}, (Token("", "2"),)),
    ("Observation", "status", {"status": "final"}, (Token("http://hl7.org/fhir/observation-status", "final"),)),
    ("Task", "intent", {"intent": "order"}, (Token("http://hl7.org/fhir/request-intent", "order"),)),
    ("Task", "intent", {"intent": "unknown"}, (Token("http://hl7.org/fhir/task-intent", "unknown"),)),
    ("Observation", "status", {"status": "no such code"}, (Token("", "no such code"),)),
    ("Subscription", "payload", {"channel": {"payload": "application/fhir+json"}},
     (Token("urn:ietf:bcp:13", "application/fhir+json"),)),
    ("CodeSystem", "code", {"concept": [{"code": "a"}, {"code": "b"}]}, (Token("", "a"), Token("", "b"))),
    ("Encounter", "class", {"class": {"system": "http://s", "code": "AMB"}}, (Token("http://s", "AMB"),)),
    ("Patient", "identifier", {"identifier": [{"system": "http://mrn", "value": "1"}, {"value": "2"}]},
     (Token("http://mrn", "1"), Token("", "2"))),
    ("Patient", "identifier", {"identifier": [{"value": "1", "type": {"coding": [
        {"system": "http://t", "code": "MR"}, {"code": "SS"}], "text": "Number"}}]},
     (Token("", "1", "Number", "http://t", "MR"), Token("", "1", "Number", "", "SS"))),
    ("Patient", "identifier", {"identifier": [{"value": "1", "type": {"text": "Number"}}]},
     (Token("", "1", "Number"),)),
    ("Patient", "phone", {"telecom": [{"system": "phone", "value": "5"}, {"system": "email", "value": "e"}]},
     (Token("", "5"),)),
    ("Patient", "active", {"active": False}, (Token(SPECIAL, "false"),)),
    ("Patient", "deceased", {"deceasedDateTime": "2020"}, (Token(SPECIAL, "true"),)),
    ("Patient", "deceased", {"deceasedBoolean": False}, (Token(SPECIAL, "false"),)),
    ("Patient", "deceased", {}, (Token(SPECIAL, "false"),)),
    ("Patient", "_id", {"id": "p1"}, (Token("", "p1"),)),
    ("Patient", "_tag", {"meta": {"tag": [{"code": "vip"}]}}, (Token("", "vip"),)),
    ("Patient", "_security", {"meta": {"security": [{"system": "http://s", "code": "R"}]}}, (Token("http://s", "R"),)),
    ("Group", "value", {"characteristic": [{"valueBoolean": True}, {"valueQuantity": {"value": 1}}]},
     (Token(SPECIAL, "true"),)),
    ("Patient", "gender", {"_gender": {"extension": [{"url": "http://x", "valueCode": "u"}]}}, ()),
])
def test_tokens(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("Patient", "family", {"name": [{"family": "Éclair"}, {"family": "van  Dyk"}]},
     (String("eclair", "Éclair"), String("van dyk", "van  Dyk"))),
    ("Patient", "name", {"name": [{"text": "Dr A B Jr", "family": "B", "given": ["A", "C"], "prefix": ["Dr"], "suffix": ["Jr"],
                                   "use": "usual"}]}, strings("Dr A B Jr", "B", "A", "C", "Dr", "Jr")),
    ("Patient", "given", {"name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}]}, strings("A")),
    ("Patient", "address", {"address": [{"text": "All", "line": ["1 Elm", "Flat 2"], "city": "C", "district": "D", "state": "S",
                                         "postalCode": "01101", "country": "US", "type": "both"}]},
     strings("All", "1 Elm", "Flat 2", "C", "D", "S", "01101", "US")),
    ("Patient", "address-city", {"address": [{"city": "Springfield"}]}, strings("Springfield")),
    ("Observation", "value-string", {"valueString": "Pos"}, strings("Pos")),
    ("Observation", "value-string", {"valueCodeableConcept": {"text": "Pos", "coding": [{"display": "not this"}]}}, strings("Pos")),
    ("InsurancePlan", "name", {"name": "Gold", "alias": ["Aurum"]}, strings("Gold", "Aurum")),
    ("List", "notes", {"note": [{"text": "a *note*"}]}, strings("a *note*")),
    ("Patient", "name", {"name": [{"use": "usual"}]}, ()),
])
def test_strings(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


@pytest.mark.parametrize("text, folded", [
    ("Jürgen", "jurgen"), ("ﬁ", "fi"), ("STRASSE", "strasse"), ("straße", "strasse"), ("  a \t b\n", "a b"), ("İ", "i"),
    ("Ǆ", "dz"), ("e\u0301", "e"), ("Ωμέγα", "ωμεγα"), ("", "")])
def test_fold_leaves_case_accents_and_blanks_out(text, folded):
    assert fold(text) == folded


@given(st.text())
def test_fold_twice_is_fold_once(text):
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("Patient", "birthdate", {"birthDate": "1980-04"}, (Date(*span("1980-04")),)),
    ("Observation", "date", {"effectiveDateTime": "2024-01-01T10:00:00+01:00"}, (Date(*span("2024-01-01T09:00:00Z")),)),
    ("Observation", "date", {"effectiveInstant": "2024-01-01T10:00:00.5Z"}, (Date(*span("2024-01-01T10:00:00.5Z")),)),
    ("Observation", "date", {"effectivePeriod": {"start": "2024-01", "end": "2024-02-03"}},
     (Date(span("2024-01")[0], span("2024-02-03")[1]),)),
    ("Encounter", "date", {"period": {"start": "2024"}}, (Date(span("2024")[0], MAX),)),
    ("Encounter", "date", {"period": {"end": "2024"}}, (Date(MIN, span("2024")[1]),)),
    ("Encounter", "date", {"period": {"extension": [{"url": "http://x", "valueCode": "u"}]}}, ()),
    ("Encounter", "date", {"period": {"start": "2024", "end": "2023"}}, (Date(span("2024")[0], span("2024")[0]),)),
    ("Observation", "date", {"effectiveTiming": {"event": ["2024-03", "2024-01-05"]}},
     (Date(span("2024-01-05")[0], span("2024-03")[1]),)),
    ("Observation", "date", {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2024"}, "frequency": 3}}},
     (Date(span("2024")[0], MAX),)),
    ("Observation", "date", {"effectiveTiming": {"repeat": {"boundsDuration": {"value": 3, "unit": "d"}}}}, ()),
    ("Observation", "date", {"effectiveDateTime": "2024-02-30"}, ()),
    ("Procedure", "date", {"performedString": "last week"}, ()),
    ("Procedure", "date", {"performedAge": {"value": 3}}, ()),
    ("Patient", "_lastUpdated", {"meta": {"lastUpdated": "2024-01-01T00:00:00.000Z"}},
     (Date(*span("2024-01-01T00:00:00.000Z")),)),
])
def test_dates(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("Encounter", "subject", {"subject": {"reference": "Patient/1"}}, (Reference("Patient/1"),)),
    ("Encounter", "subject", {"subject": {"reference": "Patient/1/_history/2"}}, (Reference("Patient/1", "2"),)),
    ("Encounter", "subject", {"subject": {"reference": "http://me.example.org/fhir/Patient/1"}},
     (Reference("Patient/1"),)),
    ("Encounter", "patient", {"subject": {"reference": "http://me.example.org/fhir/Patient/1/_history/2"}},
     (Reference("Patient/1", "2"),)),
    ("Encounter", "subject", {"subject": {"reference": "http://me.example.org/fhirsub/Patient/1"}},
     (Reference("http://me.example.org/fhirsub/Patient/1"),)),
    ("Encounter", "patient", {"subject": {"reference": "http://other.example.org/Patient/1"}},
     (Reference("http://other.example.org/Patient/1"),)),
    ("Encounter", "patient", {"subject": {"reference": "Group/1"}}, ()),
    ("Encounter", "patient", {"subject": {"reference": "#p"}, "contained": [{"resourceType": "Patient", "id": "p"}]},
     (Reference("#p"),)),
    ("Encounter", "subject", {"subject": {"reference": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"}},
     (Reference("urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"),)),
    ("Encounter", "subject", {"subject": {"identifier": {"system": "http://mrn", "value": "1"}}},
     (Reference("", "", "http://mrn", "1"),)),
    ("Encounter", "subject", {"subject": {"reference": "Patient/1", "identifier": {"value": "1"}}},
     (Reference("Patient/1", "", "", "1"),)),
    ("Encounter", "patient", {"subject": {"type": "Patient", "identifier": {"value": "1"}}},
     (Reference("", "", "", "1"),)),
    ("Encounter", "subject", {"subject": {"display": "somebody"}}, ()),
    ("QuestionnaireResponse", "questionnaire", {"questionnaire": "http://forms.example.org/phq-9|2.0"},
     (Reference("http://forms.example.org/phq-9", "2.0"),)),
    ("ConceptMap", "source-uri", {"sourceUri": "http://acme.org/vs"}, (Reference("http://acme.org/vs"),)),
    ("Bundle", "message", {"entry": [{"resource": {"resourceType": "MessageHeader", "id": "m"}},
                                     {"resource": {"resourceType": "Patient", "id": "p"}}]}, (Reference("MessageHeader/m"),)),
    ("Consent", "source-reference", {"sourceAttachment": {"url": "http://x"}}, ()),
])
def test_references(resource_type, code, elements, found):
    assert find(resource_type, code, elements, "http://me.example.org/fhir/") == found


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("ValueSet", "url", {"url": "http://acme.org/vs"}, (Uri("http://acme.org/vs"),)),
    ("Patient", "_profile", {"meta": {"profile": ["http://a|1", "http://b"]}},
     (Uri("http://a|1"), Uri("http://a"), Uri("http://b"))),
    ("Patient", "_source", {"meta": {"source": "http://feed#1"}}, (Uri("http://feed#1"),)),
    ("Subscription", "url", {"channel": {"endpoint": "http://h"}}, (Uri("http://h"),)),
])
def test_uris(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("RiskAssessment", "probability", {"prediction": [{"probabilityDecimal": Decimal("0.80")}]},
     (Number(Decimal("0.80"), Decimal("0.80")),)),
    ("RiskAssessment", "probability", {"prediction": [{"probabilityDecimal": 0.1}]},
     (Number(Decimal("0.1"), Decimal("0.1")),)),
    ("RiskAssessment", "probability", {"prediction": [{"probabilityRange": {"low": {"value": 1}, "high": {"value": 5}}}]},
     (Number(1, 5),)),
    ("RiskAssessment", "probability", {"prediction": [{"probabilityRange": {"high": {"value": 5}}}]},
     (Number(None, 5),)),
    ("RiskAssessment", "probability",
     {"prediction": [{"probabilityRange": {"low": {"value": 5}, "high": {"value": 0}}}]}, (Number(5, 5),)),
    ("RiskAssessment", "probability", {"prediction": [{"probabilityRange": {"high": {"unit": "%"}}}]}, ()),
    ("MolecularSequence", "variant-start", {"variant": [{"start": 3}, {"start": 4}]}, (Number(3, 3), Number(4, 4))),
    ("Observation", "value-quantity", {"valueQuantity": {"value": Decimal("6.30"), "system": UCUM, "code": "kg", "unit": "kilo"}},
     (Quantity(Decimal("6.30"), Decimal("6.30"), UCUM, "kg", "kilo"),)),
    ("Observation", "value-quantity", {"valueQuantity": {"value": 5, "comparator": "<"}},
     (Quantity(None, 5, "", "", ""),)),
    ("Observation", "value-quantity", {"valueQuantity": {"value": 5, "comparator": ">="}},
     (Quantity(5, None, "", "", ""),)),
    ("Observation", "value-quantity", {"valueQuantity": {"unit": "kg"}}, ()),
    ("Observation", "value-quantity", {"valueSampledData": {"origin": {"value": 1}, "period": 1, "dimensions": 1}}, ()),
    ("Invoice", "totalnet", {"totalNet": {"value": 12, "currency": "EUR"}},
     (Quantity(12, 12, "urn:iso:std:iso:4217", "EUR", "EUR"),)),
    ("Condition", "onset-age", {"onsetAge": {"value": 52, "system": UCUM, "code": "a"}},
     (Quantity(52, 52, UCUM, "a", ""),)),
    ("Condition", "onset-age", {"onsetRange": {"low": {"value": 1, "unit": "a"}, "high": {"value": 2}}},
     (Quantity(1, 2, "", "", "a"),)),
    ("Condition", "onset-age", {"onsetRange": {"low": {"value": 3, "unit": "a"}, "high": {"value": 2}}},
     (Quantity(3, 3, "", "", "a"),)),
    ("Condition", "onset-age", {"onsetRange": {"high": {"value": 2, "code": "a"}}}, (Quantity(None, 2, "", "a", ""),)),
    ("Encounter", "length", {"length": {"value": 90, "unit": "min"}}, (Quantity(90, 90, "", "", "min"),)),
])
def test_numbers_and_quantities(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


def test_number_keeps_its_digits():
    number, = find("Observation", "value-quantity", {"valueQuantity": {"value": Decimal("1.00")}})
    assert str(number.low) == "1.00"


PRESSURE = {
    "code": {"coding": [{"code": "bp"}]},
    "component": [
        {"code": {"coding": [{"code": "sys"}]}, "valueQuantity": {"value": 120}},
        {"code": {"coding": [{"code": "dia"}]}, "valueQuantity": {"value": 80}},
        {"code": {"coding": [{"code": "pos"}]}, "valueCodeableConcept": {"coding": [{"code": "sitting"}]}}]}


def pair(code, value):
    return Composite(((Token("", code),), (value,)))


@pytest.mark.parametrize("resource_type, code, elements, found", [
    ("Observation", "component-code-value-quantity", PRESSURE,
     (pair("sys", Quantity(120, 120, "", "", "")), pair("dia", Quantity(80, 80, "", "", "")))),
    ("Observation", "component-code-value-concept", PRESSURE, (pair("pos", Token("", "sitting")),)),
    ("Observation", "code-value-quantity", PRESSURE, ()),
    ("Observation", "combo-code-value-quantity", PRESSURE | {"valueQuantity": {"value": 1}},
     (pair("bp", Quantity(1, 1, "", "", "")), pair("sys", Quantity(120, 120, "", "", "")), pair("dia", Quantity(80, 80, "", "", "")))),
    ("Observation", "code-value-date", {"code": {"coding": [{"code": "x"}]}, "valueDateTime": "2024"},
     (pair("x", Date(*span("2024"))),)),
    ("DocumentReference", "relationship", {"relatesTo": [{"code": "replaces", "target": {"reference": "DocumentReference/0"}}]},
     (Composite(((Token("http://hl7.org/fhir/document-relationship-type", "replaces"),), (Reference("DocumentReference/0"),))),)),
    ("MolecularSequence", "chromosome-variant-coordinate",
     {"referenceSeq": {"chromosome": {"coding": [{"code": "1"}]}}, "variant": [{"start": 3, "end": 4}, {"start": 5}]},
     (Composite(((Token("", "1"),), (Number(3, 3),), (Number(4, 4),))),)),
])
def test_composites_keep_together_what_stands_together(resource_type, code, elements, found):
    assert find(resource_type, code, elements) == found


def test_special_parameter_has_no_values():
    assert find("Location", "near", {"position": {"longitude": 1, "latitude": 2}}) == ()


def test_unknown_code_is_a_key_error():
    with pytest.raises(KeyError):
        find("Patient", "no-such-parameter", {})


def test_all_gives_the_parameters_that_find_something():
    values = SearchValues({"resourceType": "Encounter", "id": "e", "status": "arrived", "class": {"code": "AMB"},
                           "subject": {"reference": "Patient/1"}})
    assert set(values.all()) == {"_id", "_content", "status", "class", "subject", "patient"}
    assert values.type == "Encounter"


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_every_parameter_of_an_empty_resource_finds_nothing(resource_type):
    found = SearchValues({"resourceType": resource_type}).all()
    assert set(found) <= {"deceased"}   # nobody said that the patient has died


@pytest.mark.parametrize("elements", [
    {"code": "text"}, {"code": {"coding": "text"}}, {"code": {"coding": ["text"]}}, {"code": [[{}]]},
    {"code": {"coding": [{"code": {}}]}}, {"subject": 1}, {"subject": {"reference": 1}},
    {"subject": {"reference": "#x"}, "contained": [1]}, {"effectiveDateTime": 3}, {"effectivePeriod": "2024"},
    {"effectiveTiming": {"event": 1}}, {"valueQuantity": {"value": "high"}}, {"valueQuantity": []}, {"meta": []},
    {"meta": {"tag": "x", "lastUpdated": {}}}, {"component": {"code": 1}}, {"identifier": [{"type": "x", "value": 1}]}])
def test_malformed_resource_of_a_host_application_raises_nothing(elements):
    SearchValues({"resourceType": "Observation", **elements}).all()
