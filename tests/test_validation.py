"""Valid resources pass the door, others are refused with a sentence per element.

Spec: https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/datatypes.html, https://hl7.org/fhir/R4/validation.html
"""
import pytest

from fhirsub.errors import BadRequest, Unprocessable
from fhirsub.fhir.json import decode
from fhirsub.fhir.outcome import outcome_of
from fhirsub.fhir.validation import MAX_ISSUES, check

OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
EXTENSION = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}


def observation(**changes):
    return OBSERVATION | changes


def patient(**elements):
    return {"resourceType": "Patient", **elements}


def named(**elements):
    return patient(name=[elements])


def issues_of(resource):
    with pytest.raises(Unprocessable) as refused:
        check(resource)
    return refused.value.issues


GOOD = {
    "only a type": patient(),
    "extension beside a value": patient(birthDate="1974-12-25", _birthDate=EXTENSION),
    "extension instead of a value": patient(_birthDate=EXTENSION),
    "extension instead of a required value": {"resourceType": "Observation", "_status": EXTENSION,
                                              "code": {"text": "x"}},
    "extension instead of a choice": observation(_valueString=EXTENSION),
    "null in array, extension there": named(given=["A", None], _given=[None, EXTENSION]),
    "only extensions in array": named(_given=[EXTENSION]),
    "id of an element": named(id="n1", family="F"),
    "unknown extension": patient(extension=[{"url": "http://who.knows", "valueMoney": {"currency": "EUR"}}]),
    "nested extension": patient(extension=[{"url": "http://x", "extension": [{"url": "y", "valueInteger": 1}]}]),
    "modifier extension": patient(modifierExtension=[{"url": "http://x", "valueBoolean": True}]),
    "contained": patient(contained=[{"resourceType": "Organization", "id": "o", "name": "O"}],
                         managingOrganization={"reference": "#o"}),
    "id of 64": patient(id="a" * 64),
    "decimal": observation(valueQuantity={"value": decode("1.00")}),
    "whole number as decimal": observation(valueQuantity={"value": 7}),
    "largest integer": observation(valueInteger=2147483647),
    "year": patient(birthDate="1974"),
    "leap day": patient(birthDate="2000-02-29"),
    "leap second": observation(issued="2016-12-31T23:59:60Z"),
    "fraction of a second": observation(issued="2016-12-31T23:59:59.123456+01:00"),
    "dateTime of a month": observation(effectiveDateTime="2016-12"),
    "code with a blank": patient(communication=[{"language": {"coding": [{"code": "a b"}]}}]),
    "markdown lines": {"resourceType": "Library", "status": "draft", "type": {"text": "t"}, "description": "a\n\n* b"},
    "base64 with blanks": {"resourceType": "Binary", "contentType": "text/plain", "data": "aGVs\n bG8="},
    "mime type outside any list": {"resourceType": "Binary", "contentType": "application/x-whatever"},
    "urn as reference": observation(subject={"reference": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"}),
    "parameters": {"resourceType": "Parameters", "parameter": [
        {"name": "p", "part": [{"name": "q", "resource": patient()}]}]},
    "batch entry without resource": {"resourceType": "Bundle", "type": "batch", "entry": [
        {"request": {"method": "GET", "url": "Patient/1"}},
        {"request": {"method": "POST", "url": "Patient"}, "resource": patient()}]},
    "element named resourceType": {"resourceType": "ExampleScenario", "status": "draft", "instance": [
        {"resourceId": "i", "resourceType": "Patient"}]},
}


@pytest.mark.parametrize("resource", GOOD.values(), ids=GOOD)
def test_check_accepts(resource):
    check(resource)


# resource, the expression of its only issue, words of its diagnostics
BAD = [
    # structure
    (patient(nam="x"), "Patient.nam", "did you mean 'name'"),
    (patient(birthdate="1974"), "Patient.birthdate", "did you mean 'birthDate'"),
    (patient(zzz="x"), "Patient.zzz", "no element 'zzz'"),
    (patient(**{"a b": 1}), "Patient", "no element 'a b'"),
    (patient(fhir_comments=["x"]), "Patient.fhir_comments", "comments"),
    (patient(_id=EXTENSION), "Patient._id", "no element '_id'"),
    (patient(_name=[EXTENSION]), "Patient._name", "no element '_name'"),
    (patient(meta={"versionid": "1"}), "Patient.meta.versionid", "did you mean 'versionId'"),
    (patient(name=[{"resourceType": "HumanName"}]), "Patient.name[0].resourceType", "no element"),
    (observation(value="x"), "Observation.value", "valueQuantity"),
    (observation(valueMoney={"value": 1}), "Observation.valueMoney", "no element"),
    (observation(valueQuantity={"value": 1, "_code": EXTENSION, "foo": 1}), "Observation.value.foo", "in Quantity"),
    (observation(component=[{"code": {"text": "x"}, "status": "final"}]), "Observation.component[0].status",
     "no element"),
    # cardinality
    (patient(name={"family": "F"}), "Patient.name", "expected an array"),
    (patient(gender=["male"]), "Patient.gender", "single value; got an array of 1"),
    (patient(name=[]), "Patient.name", "array is empty"),
    (named(given=[]), "Patient.name[0].given", "array is empty"),
    (named(), "Patient.name[0]", "object is empty"),
    (patient(maritalStatus={}), "Patient.maritalStatus", "object is empty"),
    (patient(active=None), "Patient.active", "null"),
    (patient(name=None), "Patient.name", "expected an array, as it may repeat; got null"),
    (patient(name=[None]), "Patient.name[0]", "null"),
    (named(given=["A", None]), "Patient.name[0].given[1]", "null"),
    (named(given=["A", None], _given=[EXTENSION, None]), "Patient.name[0].given[1]", "null"),
    (named(_given=[None, EXTENSION]), "Patient.name[0].given[0]", "null"),
    (named(given=["A", "B"], _given=[EXTENSION]), "Patient.name[0].given", "of one length"),
    (named(given=["A"], _given=EXTENSION), "Patient.name[0].given", "expected an array"),
    (patient(birthDate="1974", _birthDate=[EXTENSION]), "Patient.birthDate", "expected an object"),
    (patient(_birthDate={}), "Patient.birthDate", "object is empty"),
    ({"resourceType": "Observation", "code": {"text": "x"}}, "Observation.status",
     "required; expected one of registered"),
    ({"resourceType": "Observation", "status": "final"}, "Observation.code",
     "required; expected an object (CodeableConcept)"),
    (patient(extension=[{"valueString": "x"}]), "Patient.extension[0].url", "required"),
    (patient(link=[{"other": {"reference": "Patient/1"}}]), "Patient.link[0].type",
     "required; expected one of replaced-by"),
    (patient(communication=[{"preferred": True}]), "Patient.communication[0].language", "required"),
    # choices
    (observation(valueString="x", valueInteger=1), "Observation.value", "only one of valueString, valueInteger"),
    (observation(valueString="x", _valueInteger=EXTENSION), "Observation.value", "only one of"),
    (patient(extension=[{"url": "http://x", "valueString": "x", "valueCode": "y"}]), "Patient.extension[0].value",
     "only one of"),
    (patient(deceasedBoolean=False, deceasedDateTime="2020"), "Patient.deceased", "only one of"),
    ({"resourceType": "MedicationRequest", "status": "active", "intent": "order", "subject": {"display": "x"}},
     "MedicationRequest.medication", "medicationCodeableConcept | medicationReference"),
    # codes
    (observation(status="bogus"), "Observation.status", "registered | preliminary | final | amended"),
    (observation(status="bogus"), "Observation.status", "got 'bogus'"),
    (observation(status=5), "Observation.status", "expected one of"),
    (patient(gender="Male"), "Patient.gender", "got 'Male'"),
    ({"resourceType": "Subscription", "status": "requested", "reason": "r", "criteria": "Patient?",
      "channel": {"type": "carrier-pigeon"}}, "Subscription.channel.type", "rest-hook | websocket"),
    ({"resourceType": "GraphDefinition", "name": "n", "status": "draft", "start": "Patientt"}, "GraphDefinition.start",
     "Patient |"),
    # types and formats
    (patient(active="true"), "Patient.active", "without quotes; got 'true'"),
    (patient(active=1), "Patient.active", "true or false"),
    (named(family=5), "Patient.name[0].family", "expected a string"),
    (named(family=""), "Patient.name[0].family", "expected a string"),
    (named(family=" \t"), "Patient.name[0].family", "not blank"),
    (named(family="a\u0000"), "Patient.name[0].family", "control"),
    (named(family={"x": 1}), "Patient.name[0].family", "got an object"),
    (named(given=["A", 5]), "Patient.name[0].given[1]", "got 5"),
    (patient(maritalStatus="M"), "Patient.maritalStatus", "an object (CodeableConcept); got 'M'"),
    (patient(birthDate="25.12.1974"), "Patient.birthDate", "YYYY-MM-DD; got '25.12.1974'"),
    (patient(birthDate="1974-02-30"), "Patient.birthDate", "date"),
    (patient(birthDate="1900-02-29"), "Patient.birthDate", "date"),
    (patient(birthDate="1974-12-25T00:00:00Z"), "Patient.birthDate", "date"),
    (patient(birthDate="1974-12-25\n"), "Patient.birthDate", "date"),
    (observation(effectiveDateTime="2016-12-31T10:00:00"), "Observation.effective", "zone"),
    (observation(effectiveDateTime="2016-12-31T10:00Z"), "Observation.effective", "ss"),
    (observation(issued="2016-12-31"), "Observation.issued", "instant"),
    (observation(valueTime="25:00:00"), "Observation.value", "hh:mm:ss"),
    (observation(valueQuantity={"value": "1.0"}), "Observation.value.value", "a number, without quotes"),
    (observation(valueInteger=decode("1.0")), "Observation.value", "whole number"),
    (observation(valueInteger=2147483648), "Observation.value", "32 bits"),
    (patient(telecom=[{"rank": 0}]), "Patient.telecom[0].rank", "from 1"),
    (patient(photo=[{"size": -1}]), "Patient.photo[0].size", "from 0"),
    (patient(photo=[{"data": "not base64"}]), "Patient.photo[0].data", "base64"),
    (patient(id="a" * 65), "Patient.id", "1 to 64 characters"),
    (patient(id="a/b"), "Patient.id", "1 to 64 characters"),
    (patient(implicitRules="http://a b"), "Patient.implicitRules", "URI"),
    (patient(language=" en"), "Patient.language", "blanks"),
    (patient(text={"status": "generated"}), "Patient.text.div", "required"),
    # resources inside
    (patient(contained=[{"resourceType": "Organization", "active": 1}]), "Patient.contained[0].active",
     "true or false"),
    (patient(contained=[{"id": "x"}]), "Patient.contained[0]", "resourceType is missing"),
    (patient(contained=["x"]), "Patient.contained[0]", "expected a resource"),
    ({"resourceType": "Bundle", "type": "batch", "entry": [{"resource": {"resourceType": "Pateint"}}]},
     "Bundle.entry[0].resource", "Patient |"),
    ({"resourceType": "Parameters", "parameter": [
        {"name": "p", "part": [{"name": "q", "resource": patient(active=0)}]}]},
     "Parameters.parameter[0].part[0].resource.active", "true or false"),
]


@pytest.mark.parametrize("resource, expression, says", BAD, ids=[row[1] for row in BAD])
def test_check_refuses_and_names_the_element(resource, expression, says):
    issue, = issues_of(resource)
    assert issue.expression == expression
    assert says in issue.diagnostics
    assert issue.diagnostics.startswith(expression)


def test_check_says_what_would_do():
    assert issues_of(observation(status="bogus"))[0].diagnostics == (
        "Observation.status: expected one of registered | preliminary | final | amended | corrected | cancelled | "
        "entered-in-error | unknown; got 'bogus'")


@pytest.mark.parametrize("resource, code", [
    (observation(status="bogus"), "code-invalid"), (patient(birthDate="x"), "value"), (patient(x=1), "structure"),
    ({"resourceType": "Observation", "status": "final"}, "required")])
def test_check_sets_the_issue_code(resource, code):
    assert issues_of(resource)[0].code == code


def test_check_names_every_fault_up_to_a_limit():
    assert len(issues_of(observation(status="bogus", issued="x", subject=[], foo=1))) == 4
    assert len(issues_of(patient(name=[{"family": 1}] * 1000))) == MAX_ISSUES


def test_check_shortens_what_it_found():
    assert len(issues_of(patient(gender="x" * 100_000, **{"y" * 100_000: 1}))[0].diagnostics) < 300


@pytest.mark.parametrize("body", [None, [], "x", 5, {}, {"resourceType": None}, {"resourceType": 5},
                                  {"resourceType": "Pateint"}, {"resourceType": "DomainResource"},
                                  {"resourceType": "Element"}, {"resourceType": "SubscriptionTopic"}], ids=repr)
def test_check_refuses_what_is_no_r4_resource(body):
    with pytest.raises(BadRequest):
        check(body)


def test_check_refuses_another_type_than_the_url_names():
    check(patient(), "Patient")
    with pytest.raises(BadRequest, match="expected Observation"):
        check(patient(), "Observation")


def test_check_leaves_bundle_entries_to_a_batch():
    bundle = {"resourceType": "Bundle", "type": "batch", "entry": [{"resource": patient(active=1)}]}
    check(bundle, entries=False)
    assert issues_of(bundle)


def test_refusal_is_a_valid_operation_outcome():
    with pytest.raises(Unprocessable) as refused:
        check(patient(gender="x", **{"\u0001": "\u0000", "z" * 999: {}}))
    check(outcome_of(refused.value))
