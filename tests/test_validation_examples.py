"""Every R4 resource type is known, and the examples that HL7 publishes pass.

Spec: https://hl7.org/fhir/R4/resourcelist.html, https://hl7.org/fhir/R4/downloads.html
"""
import os
from pathlib import Path

import pytest

from fhirsub.errors import Unprocessable
from fhirsub.fhir.definitions.structures import RESOURCE_TYPES, codes, elements
from fhirsub.fhir.json import decode
from fhirsub.fhir.validation import check

EXAMPLES = Path(os.environ.get("FHIRSUB_R4_EXAMPLES", Path(__file__).parents[2] / "shared/data/r4-examples"))
# Published by HL7 although Questionnaire.item.linkId is 1..1 and most of its items have none.
AGAINST_THE_SPECIFICATION = "bundle-questionnaire.json"
EXTENSION = {"extension": [{"url": "http://x", "valueCode": "unknown"}]}


def issues_of(resource):
    with pytest.raises(Unprocessable) as refused:
        check(resource)
    return refused.value.issues


@pytest.mark.parametrize("name", sorted(RESOURCE_TYPES))
def test_check_knows_every_resource_type(name):
    resource = minimal(name)
    check(resource)
    for element in elements(name):
        if element.required:
            without = {key: value for key, value in resource.items() if not key.startswith(element.name)}
            assert f"{name}.{element.name}" in [issue.expression for issue in issues_of(without)]


def minimal(type_name):
    """An object with the required elements only."""
    made = {"resourceType": type_name} if type_name in RESOURCE_TYPES else {}
    for element in elements(type_name):
        if element.required:
            kind = element.types[0]
            name = element.name + kind[0].upper() + kind[1:] if element.choice else element.name
            value = codes(element.value_set)[0] if codes(element.value_set) else sample(kind)
            made[name] = [value] if element.repeats else value
    return made


def sample(kind):
    samples = {"boolean": True, "integer": 1, "positiveInt": 1, "unsignedInt": 0, "decimal": decode("1.50"),
               "date": "2020-01-01", "dateTime": "2020", "instant": "2020-01-01T00:00:00Z", "time": "10:00:00",
               "oid": "urn:oid:1.2", "uuid": "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9", "base64Binary": "AAAA",
               "xhtml": "<div/>"}
    return samples.get(kind, "x") if kind[0].islower() else minimal(kind) or EXTENSION


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the official examples are absent; set FHIRSUB_R4_EXAMPLES")
def test_check_accepts_official_examples():
    paths = sorted(EXAMPLES.glob("*.json"))
    assert paths
    for path in paths:
        if path.name != AGAINST_THE_SPECIFICATION:
            check(decode(path.read_bytes()))


@pytest.mark.skipif(not (EXAMPLES / AGAINST_THE_SPECIFICATION).exists(), reason="the official examples are absent")
def test_check_refuses_the_official_example_without_required_link_id():
    resource = decode((EXAMPLES / AGAINST_THE_SPECIFICATION).read_bytes())
    assert {issue.expression.rpartition(".")[2] for issue in issues_of(resource)} == {"linkId"}
