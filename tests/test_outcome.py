"""OperationOutcome. Spec: https://hl7.org/fhir/R4/operationoutcome.html"""
from fhirsub.errors import Issue, NotFound, Unprocessable
from fhirsub.fhir.outcome import outcome, outcome_of
from fhirsub.fhir.validation import check


def test_outcome_shows_each_issue():
    assert outcome([Issue("a: wrong", "value", "Patient.name[0]"), Issue("b", severity="warning")]) == {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "value", "diagnostics": "a: wrong", "expression": ["Patient.name[0]"]},
                  {"severity": "warning", "code": "invalid", "diagnostics": "b"}],
    }


def test_outcome_of_error_takes_its_code():
    assert outcome_of(NotFound("Patient/1 is not known"))["issue"] == [
        {"severity": "error", "code": "not-found", "diagnostics": "Patient/1 is not known"}]


def test_outcome_is_a_valid_resource():
    check(outcome_of(Unprocessable("x: wrong", expression="Patient.x")))
    check(outcome_of(NotFound()))
