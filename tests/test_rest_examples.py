"""The official R4 examples, written through the REST API and read back. Spec: https://hl7.org/fhir/R4/examples.html"""
import os
from pathlib import Path

import msgspec
import pytest
from fhir_client import client  # noqa: F401

from fhirsub.fhir import json

EXAMPLES = Path(os.environ.get("FHIRSUB_R4_EXAMPLES", Path(__file__).parents[2] / "shared/data/r4-examples"))
# A Questionnaire whose items have no linkId, which R4 requires.
AGAINST_THE_SPECIFICATION = "bundle-questionnaire.json"

exact = msgspec.json.Encoder(decimal_format="number", order="sorted").encode   # decimals with all their digits


def comparable(resource):
    """The resource without what the server sets."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in ("versionId", "lastUpdated")}
    bare = {name: value for name, value in resource.items() if name not in ("id", "meta")}
    return exact(bare | ({"meta": meta} if meta else {}))


@pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the official examples are absent; set FHIRSUB_R4_EXAMPLES")
def test_official_examples_are_read_back_as_they_were_written(client):
    paths = sorted(path for path in EXAMPLES.glob("*.json") if path.name != AGAINST_THE_SPECIFICATION)
    assert paths
    for path in paths:
        text = path.read_bytes()
        resource = json.decode(text)
        created = client.post(resource["resourceType"], text)
        assert created.status_code == 201, (path.name, created.text)
        read = client.get(f"{resource['resourceType']}/{created.resource['id']}")
        assert comparable(read.resource) == comparable(resource), path.name
