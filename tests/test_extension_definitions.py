"""The server's own extensions, as it describes them. Spec: https://hl7.org/fhir/R4/defining-extensions.html"""
import pytest
from fhir.resources.R4B.structuredefinition import StructureDefinition
from fhir_client import assert_refused, make_client

import fhirsub
from fhirsub.fhir import extensions, json, validation
from fhirsub.fhir.extension_definitions import DEFINITIONS
from fhirsub.store.shipped import ship
from fhirsub.subscriptions.extension_door import ExtensionDoor

URLS = {value for name, value in vars(extensions).items() if name.isupper() and not name.startswith("_")}


@pytest.fixture
def client(database):
    client = make_client(database, {"StructureDefinition": ExtensionDoor()})
    ship(database, DEFINITIONS, now=client.server.now())
    return client


def test_every_extension_of_the_server_is_defined():
    assert {definition["url"] for definition in DEFINITIONS} == URLS
    assert len({definition["id"] for definition in DEFINITIONS}) == len(DEFINITIONS)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda definition: definition["id"])
def test_definition_is_valid(definition):
    validation.check(definition, "StructureDefinition")
    StructureDefinition.model_validate_json(json.encode(definition))


def test_definitions_are_read_and_found_by_url(client):
    for definition in DEFINITIONS:
        found = client.get(f"StructureDefinition?url={definition['url']}").resource["entry"]
        assert [one["resource"]["id"] for one in found] == [definition["id"]]
        stored = client.get(f"StructureDefinition/{definition['id']}").resource
        assert stored.pop("meta")["versionId"] == "1" and stored == definition


def test_definitions_are_stored_again_only_when_they_changed(client):
    changed = DEFINITIONS[0] | {"description": "as an earlier release said it"}
    ship(client.server.database, [changed], now=client.server.now())
    for _ in range(2):
        ship(client.server.database, DEFINITIONS, now=client.server.now())
    versions = [client.get(f"StructureDefinition/{one['id']}").resource["meta"]["versionId"] for one in DEFINITIONS]
    assert versions == ["3"] + ["1"] * (len(DEFINITIONS) - 1)


def test_definitions_are_read_only_and_others_are_not(client):
    ours = DEFINITIONS[0]
    path = f"StructureDefinition/{ours['id']}"
    assert_refused(client.put(path, ours | {"description": "mine"}), 403, "read-only", code="forbidden")
    assert_refused(client.patch(path, [{"op": "replace", "path": "/title", "value": "mine"}]), 403, "read-only")
    assert_refused(client.delete(path), 403, "read-only")
    assert client.get(path).resource["description"] == ours["description"]
    theirs = client.create({name: value for name, value in ours.items() if name != "id"} | {"url": "http://x.org/y"})
    assert client.delete(f"StructureDefinition/{theirs['id']}").status_code == 204


def test_migrate_stores_the_definitions(database, tmp_path):
    ours = fhirsub.create_app(DATABASE=database.url, SECRET_KEY_FILE=str(tmp_path / "key")).extensions["fhirsub"]
    ours.migrate()
    assert make_client(database).count("StructureDefinition") == len(DEFINITIONS)
    ours.stop()
