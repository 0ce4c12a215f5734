"""Subscription/$preview. Spec: https://hl7.org/fhir/R4/operations.html"""
import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir_client import assert_refused, make_client, observation, patient
from sqlalchemy import func, select

from fhirsub.store import changes
from fhirsub.store.changes import Change
from fhirsub.store.tables import change, secret_header, subscription as subscription_table
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.secrets import Vault

CRITERIA = "Observation?code=http://loinc.org|8867-4"


@pytest.fixture
def client(database):
    """A client of a server that takes Subscriptions of the channel websocket."""
    channels = {"websocket": object()}
    vault = Vault("x" * 43 + "=")
    return make_client(database, {"Subscription": SubscriptionDoor(channels, vault)}, channels)


def subscription(criteria=CRITERIA, **more):
    return {"resourceType": "Subscription", "status": "requested", "reason": "try", "criteria": criteria,
            "channel": {"type": "websocket"}, **more}


def preview(client, asked=None, query=""):
    """The versions found, newest first, as ``["Observation/1/2", …]``, and the text of the outcome."""
    response = client.post(f"Subscription/$preview{query}", asked or subscription())
    assert response.status_code == 200, response.text
    Bundle.model_validate(response.resource)
    *found, last = response.resource["entry"]
    assert response.resource["type"] == "searchset" and response.resource["total"] == len(found)
    assert all(one["search"] == {"mode": "match"} for one in found) and last["search"] == {"mode": "outcome"}
    return [version(one["resource"]) for one in found], last["resource"]["issue"][0]["diagnostics"]


def version(resource):
    return f"{resource['resourceType']}/{resource['id']}/{resource['meta']['versionId']}"


def count(client, table):
    with client.server.database.read() as tx:
        return tx.execute(select(func.count()).select_from(table)).scalar_one()


def test_preview_finds_the_versions_that_were_written_newest_first(client):
    first = client.create(observation())
    client.create(observation("other"))
    changed = client.put(f"Observation/{first['id']}", first | {"status": "amended"}).resource
    client.put(f"Observation/{first['id']}", observation("other", id=first["id"]))
    found, told = preview(client)
    assert found == [version(changed), version(first)]
    assert told.startswith("2 of the last 4 writes would have been notified")


def test_preview_gives_each_version_as_it_was_stored(client):
    weight = client.create(observation(valueQuantity={"value": 1}))
    body = client.post("Subscription/$preview", subscription()).resource
    assert body["entry"][0]["resource"] == weight
    assert body["entry"][0]["fullUrl"] == f"http://localhost/fhir/Observation/{weight['id']}"
    assert body["link"][0]["relation"] == "self"


def test_preview_takes_a_delete_for_a_write_that_notifies_nobody(client):
    made = client.create(observation())
    client.delete(f"Observation/{made['id']}")
    found, told = preview(client)
    assert found == [version(made)] and "1 of the last 2 writes" in told


def test_preview_looks_at_count_writes(client, database):
    made = [client.create(observation()) for _ in range(3)]
    assert preview(client, query="?_count=2")[0] == [version(made[2]), version(made[1])]
    assert preview(client, query="?_count=0") == ([], "0 of the last 0 writes would have been notified, had the "
                                                      "Subscription been on; nothing was stored")
    client.server.config.max_page = 1
    assert preview(client, query="?_count=9")[0] == preview(client)[0] == [version(made[2])]


def test_preview_of_own_base_url(client):
    client.create(observation(subject={"reference": "http://localhost/fhir/Patient/1"}))
    assert len(preview(client, subscription("http://localhost/fhir/Observation?subject=Patient/1"))[0]) == 1


def test_preview_sees_what_a_host_application_recorded(client, database):
    written = patient(id="p", meta={"versionId": "v7"})
    with database.write() as tx:
        changes.record(tx, Change("Patient", "p", "v7", "update", written), now=client.server.now())
    assert preview(client, subscription("Patient"))[0] == ["Patient/p/v7"]


def test_preview_stores_nothing(client):
    preview(client, subscription(channel={"type": "websocket", "header": ["Authorization: Bearer hush"]}))
    assert [count(client, table) for table in (change, subscription_table, secret_header)] == [0, 0, 0]


@pytest.mark.parametrize("asked, words", [
    (subscription("Observation?nonsense=1"), "no such search parameter"),
    (subscription(status="error"), "only the server"),
    (subscription(channel={"type": "email"}), "this server delivers to websocket"),
    (subscription("Observation?_list=x"), "needs other resources")])
def test_preview_refuses_what_a_create_refuses(client, asked, words):
    assert_refused(client.post("Subscription/$preview", asked), 422, words)
    assert client.post("Subscription", asked).status_code == 422


def test_preview_refuses_other_bodies_and_unknown_parameters(client):
    assert_refused(client.post("Subscription/$preview", patient()), 400, "expected Subscription")
    assert_refused(client.post("Subscription/$preview?since=1", subscription()), 400, "since", "_count")
    assert_refused(client.post("Subscription/$preview?_count=x", subscription()), 400, "_count")


def test_preview_is_of_subscriptions_and_posted(client):
    assert_refused(client.post("Patient/$preview", patient()), 404)
    refused = client.get("Subscription/$preview")
    assert_refused(refused, 405)
    assert refused.headers["Allow"] == "POST, OPTIONS"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_preview_inside_a_bundle(client, kind):
    made = client.create(observation())
    entry = {"resource": subscription(), "request": {"method": "POST", "url": "Subscription/$preview"}}
    answer = client.post("", {"resourceType": "Bundle", "type": kind, "entry": [entry]}).resource["entry"][0]
    assert answer["response"]["status"] == "200 OK"
    assert version(answer["resource"]["entry"][0]["resource"]) == version(made)


def test_operations_are_listed(client):
    listed = {one["type"]: {operation["name"] for operation in one.get("operation", ())}
              for one in client.get("metadata").resource["rest"][0]["resource"]}
    assert "preview" in listed["Subscription"] and not listed["Patient"]
