"""FHIRPath of clients, by closures and by the engine.

Spec: https://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html
"""
from decimal import Decimal

import pytest

from fhirsub.errors import ExpressionFailed
from fhirsub.fhir.fhirpath.expression import Scope, read

ENCOUNTER = {
    "resourceType": "Encounter", "id": "e", "status": "arrived", "class": {"system": "http://x", "code": "IMP"},
    "meta": {"tag": [{"code": "a"}, {"code": "b"}]}, "subject": {"reference": "Patient/1"},
    "location": [{"location": {"reference": "Location/1"}, "status": "completed"},
                 {"location": {"reference": "Location/2"}, "status": "active"}],
    "period": {"start": "2020-02-01T10:00:00Z"},
    "length": {"value": Decimal("90.0"), "unit": "min", "system": "http://unitsofmeasure.org", "code": "min"},
    "extension": [{"url": "http://e", "valueString": "x"}, {"url": "http://e", "valueInteger": 3}],
    "contained": [{"resourceType": "Location", "id": "in", "name": "Bed"}],
    "serviceProvider": {"reference": "#in"}}
PATIENT = {"resourceType": "Patient", "id": "1", "birthDate": "1970-01-01", "active": True, "deceasedBoolean": False,
           "_birthDate": {"extension": [{"url": "http://t", "valueTime": "10:00:00"}]},
           "name": [{"family": "Chalmers", "given": ["Peter", "James"]}, {"given": ["Jim"], "use": "usual"}],
           "generalPractitioner": [{"reference": "Practitioner/p"}]}
OBSERVATION = {"resourceType": "Observation", "id": "o", "status": "final", "issued": "2020-02-01T10:00:00.000Z",
               "valueQuantity": {"value": Decimal("1.50"), "unit": "g", "system": "http://u", "code": "g"},
               "component": [{"valueInteger": 3}, {"valueString": "three"}],
               "effectiveDateTime": "2020-02-01T12:00:00+02:00"}
HELD = {"Patient/1": PATIENT, "Encounter/e": ENCOUNTER}


def scope(current, previous=None, **parameters):
    return Scope(current, previous, parameters, HELD.get)


@pytest.mark.parametrize("section, expression, resource, found", [
    ("3 path selection", "status", ENCOUNTER, ["arrived"]),
    ("3 path selection", "Encounter.status", ENCOUNTER, ["arrived"]),
    ("3 path selection", "this.status", ENCOUNTER, ["arrived"]),
    ("3 path selection", "$this.location.location.reference", ENCOUNTER, ["Location/1", "Location/2"]),
    ("3 path selection", "`status`", ENCOUNTER, ["arrived"]),
    ("3 path selection", "`class`.code", ENCOUNTER, ["IMP"]),
    ("3 path selection", "DomainResource.status /* of any */ // type", ENCOUNTER, ["arrived"]),
    ("4.1 literals", "{}", ENCOUNTER, []),
    ("4.1 literals", "'it\\'s \\u00e9\\n'", ENCOUNTER, ["it's é\n"]),
    ("4.1 literals", "@2020-02-01T10:00:00Z = period.start", ENCOUNTER, [True]),
    ("4.1 literals", "1.50", ENCOUNTER, [Decimal("1.5")]),
    ("5.1 existence", "location.exists()", ENCOUNTER, [True]),
    ("5.1 existence", "location.exists(status = 'planned')", ENCOUNTER, [False]),
    ("5.1 existence", "diagnosis.empty()", ENCOUNTER, [True]),
    ("5.1 existence", "location.all(location.exists())", ENCOUNTER, [True]),
    ("5.1 existence", "location.count()", ENCOUNTER, [2]),
    ("5.1 existence", "location.status.distinct().count()", ENCOUNTER, [2]),
    ("5.1 existence", "active.allTrue()", PATIENT, [True]),
    ("5.1 existence", "birthDate.exists()", PATIENT, [True]),
    ("5.2 filtering", "location.where(status = 'active').location.reference", ENCOUNTER, ["Location/2"]),
    ("5.2 filtering", "name.where(given.where($this = 'Jim').exists()).use", PATIENT, ["usual"]),
    ("5.2 filtering", "name.select(given.first())", PATIENT, ["Peter", "Jim"]),
    ("5.2 filtering", "name.where(family).given", PATIENT, ["Peter", "James"]),
    ("5.2 filtering", "name.where($index = 1).given", PATIENT, ["Jim"]),
    ("5.2 filtering", "value.ofType(Quantity).unit", OBSERVATION, ["g"]),
    ("5.2 filtering", "component.value.ofType(string)", OBSERVATION, ["three"]),
    ("5.2 filtering", "extension('http://e').value", ENCOUNTER, ["x", 3]),
    ("5.2 filtering", "birthDate.extension('http://t').value", PATIENT, ["10:00:00"]),
    ("5.3 subsetting", "name[1].given", PATIENT, ["Jim"]),
    ("5.3 subsetting", "name.given.first()", PATIENT, ["Peter"]),
    ("5.3 subsetting", "name.given.tail()", PATIENT, ["James", "Jim"]),
    ("5.3 subsetting", "name.given.skip(1).take(1)", PATIENT, ["James"]),
    ("5.3 subsetting", "name.given.last()", PATIENT, ["Jim"]),
    ("5.4 combining", "name.given | name.family | name.family", PATIENT, ["Peter", "James", "Jim", "Chalmers"]),
    ("5.5 conversion", "iif(active, 'yes', 'no')", PATIENT, ["yes"]),
    ("5.5 conversion", "'12'.toInteger() + 1", ENCOUNTER, [13]),
    ("5.6 strings", "status.startsWith('arr')", ENCOUNTER, [True]),
    ("5.6 strings", "status.matches('^a\\\\w+d$')", ENCOUNTER, [True]),
    ("5.6 strings", "status.upper() & '!'", ENCOUNTER, ["ARRIVED!"]),
    ("5.7 math", "length.value * 2 + 1", ENCOUNTER, [Decimal(181)]),
    ("5.7 math", "-1 + 3", ENCOUNTER, [2]),
    ("5.9 utility", "now() > period.start", ENCOUNTER, [True]),
    ("5.9 utility", "period.start < today() - 1 year", ENCOUNTER, [True]),
    ("5.9 utility", "birthDate <= today() - 18 years", PATIENT, [True]),
    ("6.1 equality", "status = 'arrived'", ENCOUNTER, [True]),
    ("6.1 equality", "status != 'arrived'", ENCOUNTER, [False]),
    ("6.1 equality", "name.given = name.given", PATIENT, [True]),
    ("6.1 equality", "name.given = ('Peter' | 'James')", PATIENT, [False]),
    ("6.1 equality", "name.given.upper().empty() or true", {"resourceType": "Patient"}, [True]),
    ("6.1 equality", "diagnosis = 'x'", ENCOUNTER, []),
    ("6.1 equality", "active = 1", PATIENT, [False]),
    ("6.1 equality", "value.value = 1.5", OBSERVATION, [True]),
    ("6.1 equality", "issued = effective", OBSERVATION, [True]),
    ("6.1 equality", "birthDate = @1970-01-01", PATIENT, [True]),
    ("6.1 equality", "birthDate = @1970", PATIENT, []),
    ("6.1 equality", "length = 1.5 'h'", ENCOUNTER, [True]),
    ("6.1 equality", "status ~ 'ARRIVED'", ENCOUNTER, [True]),
    ("6.2 comparison", "value.value > 1", OBSERVATION, [True]),
    ("6.2 comparison", "length > 1 'h'", ENCOUNTER, [True]),
    ("6.2 comparison", "length <= 90 'min'", ENCOUNTER, [True]),
    ("6.2 comparison", "length > 1 'kg'", ENCOUNTER, []),
    ("6.2 comparison", "period.start > @2020-02-01T11:00:00+02:00", ENCOUNTER, [True]),
    ("6.2 comparison", "birthDate < @1980-01-01", PATIENT, [True]),
    ("6.3 types", "value is Quantity", OBSERVATION, [True]),
    ("6.3 types", "value is string", OBSERVATION, [False]),
    ("6.3 types", "(value as Quantity).code", OBSERVATION, ["g"]),
    ("6.3 types", "status is string", OBSERVATION, [True]),
    ("6.3 types", "$this is DomainResource", OBSERVATION, [True]),
    ("6.3 types", "component.first() is BackboneElement", OBSERVATION, [True]),
    ("6.4 collections", "'Jim' in name.given", PATIENT, [True]),
    ("6.4 collections", "name.given contains 'Joe'", PATIENT, [False]),
    ("6.4 collections", "{} in name.given", PATIENT, []),
    ("FHIR resolve()", "subject.resolve().name.first().family", ENCOUNTER, ["Chalmers"]),
    ("FHIR resolve()", "subject.resolve().generalPractitioner.reference.upper()", ENCOUNTER, ["PRACTITIONER/P"]),
    ("FHIR resolve()", "serviceProvider.resolve().name", ENCOUNTER, ["Bed"]),
    ("FHIR resolve()", "subject.resolve() is Patient", ENCOUNTER, [True]),
    ("FHIR resolve()", "'http://elsewhere.example.org/fhir/Patient/1'.resolve()", ENCOUNTER, []),
    ("FHIR variables", "%resource.status | %context.status", ENCOUNTER, ["arrived"]),
    ("FHIR variables", "%ucum", ENCOUNTER, ["http://unitsofmeasure.org"]),
    ("FHIR variables", "length.system.lower() = %ucum", ENCOUNTER, [True]),
])
def test_expression_finds_what_the_section_says(section, expression, resource, found):
    answer = read(expression, [resource["resourceType"]]).evaluate(scope(resource))
    assert answer == found
    assert [type(one) for one in answer] == [type(one) for one in found]


TRUTHS = {"true": "true", "false": "false", "empty": "{}"}
LOGIC = {  # left, right: and, or, xor, implies; https://hl7.org/fhirpath/N1/#boolean-logic
    ("true", "true"): (True, True, False, True), ("true", "false"): (False, True, True, False),
    ("true", "empty"): (None, True, None, None), ("false", "true"): (False, True, True, True),
    ("false", "false"): (False, False, False, True), ("false", "empty"): (False, None, None, True),
    ("empty", "true"): (None, True, None, True), ("empty", "false"): (False, None, None, None),
    ("empty", "empty"): (None, None, None, None)}


@pytest.mark.parametrize("left, right", LOGIC)
@pytest.mark.parametrize("beyond", ["", " | 'x'.trim().tail()"], ids=["closures", "engine"])
def test_logic_has_three_values(left, right, beyond):
    for operator, answer in zip(("and", "or", "xor", "implies"), LOGIC[left, right]):
        expression = f"({TRUTHS[left]} {operator} {TRUTHS[right]}).select($this){beyond}"
        assert read(expression, ["Patient"]).evaluate(scope(PATIENT)) == ([] if answer is None else [answer]), operator


@pytest.mark.parametrize("value, negated", [("true", [False]), ("false", [True]), ("{}", []), ("'x'", [False])])
def test_not_has_three_values(value, negated):
    assert read(f"{value}.not()", ["Patient"]).evaluate(scope(PATIENT)) == negated


PLANNED = ENCOUNTER | {"status": "planned"}
ARRIVALS = [  # expression, on create, on update from planned, on update from arrived, on delete
    ("status = 'arrived'", True, True, True, True),
    ("%current.status = 'arrived'", True, True, True, False),
    ("%previous.status != 'arrived'", False, True, False, False),
    ("%previous.where(status = 'arrived').empty() and %current.status = 'arrived'", True, True, False, False),
    ("(%previous.status = 'arrived').not()", False, True, False, False),
    ("%current.empty()", False, False, False, True),
    ("%previous.empty()", True, False, False, False),
    ("%previous.status != %current.status", False, True, False, False),
    ("%resource.status.exists() and %context.exists()", True, True, True, True),
    ("%current.status.upper() = 'ARRIVED' and %previous.empty()", True, False, False, False),
    ("%previous.status.lower() = 'arrived' or %previous.status.upper() = 'PLANNED'", False, True, True, True),
    ("%current.exists() implies %previous.status.upper() = 'PLANNED'", False, True, False, True),
]


@pytest.mark.parametrize("expression, create, from_planned, from_arrived, delete", ARRIVALS)
def test_condition_sees_both_versions(expression, create, from_planned, from_arrived, delete):
    condition = read(expression, ["Encounter"])
    scopes = scope(ENCOUNTER), scope(ENCOUNTER, PLANNED), scope(ENCOUNTER, ENCOUNTER), scope(None, ENCOUNTER)
    assert [condition.holds(one) for one in scopes] == [create, from_planned, from_arrived, delete]


@pytest.mark.parametrize("expression, holds", [
    ("name", None), ("name.family", True), ("active", True), ("deceased", False), ("photo", False),
    ("name.given.upper()", None)])
def test_condition_takes_one_value(expression, holds):
    condition = read(expression, ["Patient"])
    if holds is not None:
        assert condition.holds(scope(PATIENT)) is holds
    else:
        with pytest.raises(ExpressionFailed) as failed:
            condition.holds(scope(PATIENT))
        assert "Peter" not in str(failed.value)


@pytest.mark.parametrize("expression, complaint", [
    ("", "position 1: expected a path or a value, found the end"),
    ("status == 'a'", "position 8: found ==; FHIRPath says ="),
    ("status = 'a' && active", "position 14: found &&; FHIRPath says and"),
    ("status = 'a' || active", "FHIRPath says or"),
    ('status = "a"', "position 10: found \"; FHIRPath puts strings between single quotes"),
    ("!status", r"FHIRPath says \.not\(\)"),
    ("status <> 'a'", "FHIRPath says !="),
    ("status = 'a", "position 10: a string that does not end"),
    ("status = #", "position 10: '#' means nothing"),
    ("period.start > @2024-13-01", "position 16: '2024-13-01' is no date: month must be in"),
    ("period.start > @202", "position 16: expected a date such as 2024"),
    ("status = ", "position 10: expected a path or a value, found the end"),
    ("status status", "position 8: expected an operator or the end, found status"),
    ("location.where(status = 'a'", "expected ,, found the end"),
    ("status in ('a', 'b')", r"FHIRPath joins values with \|"),
    ("status = 'a' AND id = 'b'", "found AND; FHIRPath says and"),
    ("current.status = 'a'", "did you mean %current"),
    ("status = arrived", "no element arrived; strings stand between single quotes"),
    ("stauts = 'a'", "position 1: Encounter has no element stauts; did you mean status?"),
    ("location.where(stat = 'a')", "position 16: Encounter.location has no element stat; did you mean status?"),
    ("Patient.name", "position 1: Patient is never seen here; expected Encounter"),
    ("extension.valueString", r"FHIRPath says value.ofType\(string\), not valueString"),
    ("status is Foo", "Foo is no type of R4"),
    ("status.nope()", r"there is no function nope\(\)"),
    ("status.emty()", r"did you mean empty\(\)"),
    ("status.where()", r"where\(\) has 0 arguments; expected 1"),
    ("status.trace('x')", r"does not evaluate trace\(\); leave it out"),
    ("class.memberOf('http://vs')", r"does not evaluate memberOf\(\); compare with the codes"),
    ("%patientId = subject.reference", "%patientId is not known; expected one of .*%current.*%previous"),
    ("$index = 1", r"\$index has a value only inside of where\(\)"),
    ("status.matches(%current.status)", r"the pattern of matches\(\) must be a string between quotes"),
    ("status.matches('(')", "not a regular expression"),
    ("status.replaceMatches('" + "a" * 257 + "', '')", "the pattern has 257 characters; expected at most 256"),
    ("status = '" + "a" * 2048 + "'", "the expression has 2059 characters; expected at most 2048"),
    ("|".join(["(" + "|".join(["id"] * 100) + ")"] * 3), "the expression has 599 parts; expected at most 500"),
    (".".join(["extension"] * 130), "more than 120 steps or operators in a row"),
    (" or ".join(["id"] * 130), "more than 120 steps or operators in a row"),
    ("(" * 60 + "id" + ")" * 60, "nested too deeply: expected at most 50 levels"),
])
def test_read_tells_the_position_and_what_would_do(expression, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(expression, ["Encounter"])


def test_read_lets_elements_of_any_of_the_types_pass():
    assert read("status = 'final' or birthDate.exists()", ["Patient", "Observation"]).holds(scope(PATIENT))
    assert read("whatever.it.is", []).evaluate(scope(PATIENT)) == []


@pytest.mark.parametrize("expression, equalities", [
    ("subject.reference = %patient", [("subject.reference", "patient")]),
    ("%patient = subject.reference", [("subject.reference", "patient")]),
    ("%patient in location.location.reference", [("location.location.reference", "patient")]),
    ("location.location.reference contains %patient", [("location.location.reference", "patient")]),
    ("status = 'arrived' and (subject.reference = %patient and length > %other)", [("subject.reference", "patient")]),
    ("location.where(status = 'active').location.reference = %a and status = %b",
     [("location.where(status = 'active').location.reference", "a"), ("status", "b")]),
    ("subject.reference = %patient or status = 'a'", []),
    ("%patient != subject.reference", []),
    ("subject.reference in %patient", []),
    ("%a = %b", []),
    ("%ucum = length.system", []),
    ("(subject.reference = %patient).not()", []),
])
def test_equalities_are_the_conjuncts_that_an_index_can_use(expression, equalities):
    condition = read(expression, ["Encounter"], parameters=None)
    assert [(path.text, name) for path, name in condition.equalities()] == equalities


def test_parameters_have_the_values_of_the_scope():
    text = "subject.reference = %patient and status in %wanted"
    condition = read(text, ["Encounter"], parameters={"patient", "wanted"})
    assert condition.parameters == {"patient", "wanted"}
    assert condition.holds(scope(ENCOUNTER, patient="Patient/1", wanted=["arrived", "planned"]))
    assert not condition.holds(scope(ENCOUNTER, patient="Patient/2", wanted=["arrived"]))
    (path, name), = condition.equalities()
    assert (path.evaluate(scope(ENCOUNTER)), name) == (["Patient/1"], "patient")
    with pytest.raises(ExpressionFailed, match="%patient has no value here"):
        condition.holds(scope(ENCOUNTER))


def test_engine_sees_parameters():
    condition = read("subject.reference.lower() = %patient.lower()", ["Encounter"], parameters={"patient"})
    assert condition.holds(scope(ENCOUNTER, patient="PATIENT/1"))
    with pytest.raises(ExpressionFailed, match="%patient has no value here"):
        condition.holds(scope(ENCOUNTER))


def test_long_chains_of_operators_are_no_matter():
    assert read(" or ".join(["id = 'x'"] * 100 + ["id = 'e'"]), ["Encounter"]).holds(scope(ENCOUNTER))


def test_scope_may_hold_no_resource_at_all():
    assert read("%current.exists() or now() > @2020-01-01", []).holds(scope(None))
    assert read("status.upper()", ["Encounter"]).evaluate(scope(None)) == []


@pytest.mark.parametrize("resource", [
    {}, {"location": "x"}, {"location": [[]]}, {"location": [None, {"status": 3}]}])
def test_closures_pass_over_what_is_malformed(resource):
    condition = read("location.where(status = 'active').location.reference = 'x'", ["Encounter"])
    assert not condition.holds(scope({"resourceType": "Encounter"} | resource))
