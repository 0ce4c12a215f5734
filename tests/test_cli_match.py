"""``fhirsub match`` as a person uses it."""
import json

import pytest
from click.testing import CliRunner

from fhirsub.cli import main

ANNA = {"resourceType": "Patient", "id": "anna", "gender": "female"}
BOB = {"resourceType": "Patient", "id": "bob", "gender": "male"}
BUNDLE = {"resourceType": "Bundle", "id": "b", "type": "batch", "entry": [
    {"resource": ANNA}, {"request": {"method": "DELETE", "url": "Patient/1"}}, {"resource": BOB}]}


def match(*arguments, **options):
    return CliRunner().invoke(main, ["match", *map(str, arguments)], **options)


@pytest.fixture
def file(tmp_path):
    """Write a file; returns its path."""
    def write(content, name="sample.json"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))
        return path
    return write


def test_match_prints_a_line_for_each_resource(file):
    result = match("Patient?gender=female", file(ANNA, "a.json"), file(BOB, "b.json"))
    assert (result.exit_code, result.stdout) == (0, "Patient/anna match\nPatient/bob no match\n")


def test_no_match_exits_with_one(file):
    result = match("Patient?gender=other", file(ANNA))
    assert (result.exit_code, result.stdout) == (1, "Patient/anna no match\n")


def test_each_entry_of_a_bundle_is_tried(file):
    result = match("Patient?gender=male", file(BUNDLE))
    assert (result.exit_code, result.stdout) == (0, "Patient/anna no match\nPatient/bob match\n")


def test_criteria_of_bundles_try_the_bundle_itself(file):
    assert match("Bundle?type=batch", file(BUNDLE)).stdout == "Bundle/b match\n"


def test_ndjson_is_read_line_by_line(file):
    result = match("Patient?gender=male", file(f"{json.dumps(ANNA)}\n\n{json.dumps(BUNDLE)}\n"))
    assert result.stdout == "Patient/anna no match\nPatient/anna no match\nPatient/bob match\n"


def test_dash_reads_stdin():
    assert match("Patient", "-", input=json.dumps(ANNA)).stdout == "Patient/anna match\n"


def test_base_url_makes_references_local(file):
    path = file(ANNA | {"managingOrganization": {"reference": "http://a.org/fhir/Organization/1"}})
    assert match("Patient?organization=1", path).exit_code == 1
    assert match("--base-url", "http://a.org/fhir", "Patient?organization=1", path).exit_code == 0


@pytest.mark.parametrize("content, words", [
    ("{", "sample.json: the body is not JSON"), ("", "sample.json: the body is not JSON"),
    (f"{json.dumps(ANNA)}\n{{\n", "sample.json, line 2: the body is not JSON"),
    ([ANNA], "sample.json: expected a resource"),
    ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "X"}}]}, "got 'X'"),
    ({"resourceType": "Bundle", "entry": "x"}, "Bundle.entry: expected a list")])
def test_unreadable_content_is_refused(file, content, words):
    result = match("Patient", file(content))
    assert result.exit_code == 2 and words in result.stderr


def test_undecidable_criteria_are_refused_before_any_file_is_read(file):
    result = match("Patient?organization.name=x", file("{"))
    assert result.exit_code == 2 and "organization.name: a chain" in result.stderr and result.stdout == ""


@pytest.mark.parametrize("arguments", [(), ("Patient",), ("Patient", "missing.json"), ("Patient", "/")])
def test_misuse_exits_with_two(arguments):
    assert match(*arguments).exit_code == 2
