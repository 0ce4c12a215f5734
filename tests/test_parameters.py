"""The published search parameters. Spec: https://hl7.org/fhir/R4/searchparameter-registry.html"""
import pytest

from fhirsub.fhir.definitions.generate_parameters import describe, restrict
from fhirsub.fhir.definitions.parameters import SearchParameter, search_parameters
from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.fhirpath import plain

COMMON = {"_content", "_id", "_lastUpdated", "_profile", "_security", "_source", "_tag", "_text"}
EVERY = [(resource_type, parameter) for resource_type in sorted(RESOURCE_TYPES)
         for parameter in search_parameters(resource_type).values()]


def test_every_official_parameter_but_query_is_there():
    assert len({parameter.url for _, parameter in EVERY}) == 1375 - 1


@pytest.mark.parametrize("resource_type", sorted(RESOURCE_TYPES))
def test_every_type_has_the_common_parameters(resource_type):
    assert COMMON <= set(search_parameters(resource_type))


def test_parameter_of_one_type_carries_what_belongs_to_that_type():
    assert search_parameters("Person")["name"] == SearchParameter(
        code="name", type="string", expression="Person.name", url="http://hl7.org/fhir/SearchParameter/Person-name",
        description="A server defined search that may match any of the string fields in the HumanName, including family, "
                    "give, prefix, suffix, suffix, and/or text")
    birthdate = search_parameters("Person")["birthdate"]
    assert (birthdate.expression, birthdate.description) == ("Person.birthDate", "The person's date of birth")


def test_targets_are_listed():
    assert search_parameters("Encounter")["patient"].targets == ("Patient",)
    assert {"Patient", "Group"} < set(search_parameters("Provenance")["target"].targets) <= RESOURCE_TYPES


def test_components_name_parameters_of_the_same_type():
    for resource_type, parameter in EVERY:
        assert bool(parameter.components) == (parameter.type == "composite")
        assert {name for name, _ in parameter.components} <= set(search_parameters(resource_type))


def test_published_exchange_of_components_is_corrected():
    """R4 4.0.1 pairs relatesTo.code with the reference parameter and relatesTo.target with the token parameter."""
    relationship = search_parameters("DocumentReference")["relationship"]
    assert relationship.components == (("relation", "code"), ("relatesto", "target"))


def test_every_expression_compiles_to_closures():
    """None falls to the full engine, and none is a path that R4 does not have."""
    for resource_type, parameter in EVERY:
        for here in plain.types(parameter.expression, resource_type):
            for _, expression in parameter.components:
                assert plain.types(expression, resource_type, here), (resource_type, parameter.code)


def test_unknown_type_has_the_common_parameters_only():
    assert set(search_parameters("Nothing")) == COMMON


@pytest.mark.parametrize("expression, resource_type, kept", [
    ("Patient.name | Person.name", "Person", "Person.name"),
    ("(Goal.start.ofType(date)) | (Goal.target.due.ofType(date))", "Goal",
     "(Goal.start.ofType(date)) | (Goal.target.due.ofType(date))"),
    ("Observation | Observation.component", "Observation", "Observation | Observation.component"),
    ("Medication.code | MedicationRequest.code", "Medication", "Medication.code"),
    ("name | alias", "InsurancePlan", "name | alias"),
    ("Resource.id", "Patient", "Resource.id"),
])
def test_restrict_keeps_the_alternatives_of_one_type(expression, resource_type, kept):
    assert restrict(expression, resource_type) == kept


def test_describe_picks_the_line_of_the_type():
    text = "Multiple Resources: \r\n\r\n* [Patient](patient.html): A patient\r\n* [Person](person.html): A person\r\n"
    assert describe(text, "Person") == "A person"
    assert describe("One  sentence", "Person") == "One sentence"
