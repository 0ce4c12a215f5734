"""Transactions of many entries: one set of statements for all. Spec: https://hl7.org/fhir/R4/http.html#trules"""
import pytest
from cryptography.fernet import Fernet
from fhir_client import assert_refused, identified, make_client, observation, patient
from sqlalchemy import event, func, select
from test_bundle import entry, json_patch, statuses, transaction, written
from test_signature import channel, secret
from topics import definition, subscription, trigger

from fhirsub.config import Config
from fhirsub.delivery.channels.rest_hook import RestHook
from fhirsub.store import changes
from fhirsub.store.tables import secret_header
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.event_door import EventDefinitionDoor
from fhirsub.subscriptions.secrets import Vault

PLAIN = {"type": "rest-hook", "endpoint": "https://8.8.8.8/hook"}
SECRET = channel(secret()) | PLAIN | {"header": ["Authorization: Bearer abc"]}


@pytest.fixture
def client(database):
    channels = {"rest-hook": RestHook(None, Config({}, {}))}
    vault = Vault(Fernet.generate_key())
    doors = {"EventDefinition": EventDefinitionDoor(), "Subscription": SubscriptionDoor(channels, vault)}
    return make_client(database, doors, channels)


def subscribing(number, channel=PLAIN, topics=()):
    criteria = f"Encounter?patient=Patient/{number}"
    return subscription(criteria, topics) | {"id": f"s{number}", "reason": "test", "channel": channel}


def posted(one):
    return entry("POST", one["resourceType"], one)


def put(one):
    return entry("PUT", f"{one['resourceType']}/{one['id']}", one)


def deleted(one):
    return entry("DELETE", f"{one['resourceType']}/{one['id']}")


def sent(client, *entries):
    response = client.post("", transaction(*entries))
    assert response.status_code == 200, response.text
    return response.resource["entry"]


def counted(client, entries):
    """How many statements a transaction of these entries takes inside its own database transaction."""
    statements = []

    def count(connection, cursor, statement, *rest):
        statements.extend([statement] if connection.get_execution_options().get("fhirsub_writes") else [])

    event.listen(client.server.database.engine, "before_cursor_execute", count)
    sent(client, *entries)
    event.remove(client.server.database.engine, "before_cursor_execute", count)
    return len(statements)


def logged(tx):
    return [(change.type, change.id, change.interaction) for change in changes.pending(tx, 10_000)]


@pytest.mark.parametrize(("make", "stored_before"), [
    (lambda number: posted(subscribing(number)), False),
    (lambda number: posted(subscribing(number, topics=["EventDefinition/admit"])), False),
    (lambda number: posted(subscribing(number, SECRET)), False),
    (lambda number: put(subscribing(number)), False),
    (lambda number: put(subscribing(number)), True),
    (lambda number: put(subscribing(number, SECRET)), True),
    (lambda number: deleted(subscribing(number)), True),
    (lambda number: entry("PATCH", f"Subscription/s{number}", json_patch(
        {"op": "replace", "path": "/reason", "value": "new"})), True),
    (lambda number: posted(observation(subject={"reference": f"Patient/{number}"})), False),
], ids=["post", "topic", "secret", "put-new", "put", "put-secret", "delete", "patch", "observation"])
def test_statements_do_not_grow_with_the_entries(client, make, stored_before):
    sent(client, put(definition("admit", trigger())))
    if stored_before:
        sent(client, *(put(subscribing(number, SECRET)) for number in range(103)))
    few = counted(client, [make(number) for number in range(3)])
    many = counted(client, [make(number) for number in range(3, 103)])
    assert many == few <= 12


def test_statements_do_not_grow_where_references_must_exist(database):
    client = make_client(database, REFERENCES_MUST_EXIST=True)
    sent(client, *(put(patient(id=str(number))) for number in range(30)))
    observations = [posted(observation(subject={"reference": f"Patient/{number}"})) for number in range(30)]
    assert counted(client, observations) == counted(client, observations[:2])
    lost = posted(observation(subject={"reference": "Patient/lost"}))
    assert_refused(client.post("", transaction(*observations, lost)), 422, "Bundle.entry[30]", "Patient/lost")


def test_changes_are_numbered_in_the_order_of_the_writes(client):
    sent(client, put(patient(id="old")))
    sent(client, put(subscribing(1)), *(put(patient(id=f"p{number}")) for number in range(60)),
         put(definition("admit", trigger())), *(posted(observation()) for _ in range(5)), deleted(patient(id="old")))
    with client.server.database.read() as tx:
        log = logged(tx)
    assert log[1] == ("Patient", "old", "delete")
    assert [kind for kind, _, _ in log[2:]] == [
        *["Observation"] * 5, *["Patient"] * 60, "EventDefinition", "Subscription"]
    assert [id for kind, id, _ in log[7:67]] == [f"p{number}" for number in range(60)]


@pytest.mark.parametrize(("failing", "status", "word"), [
    (posted(subscribing(1) | {"criteria": "Nonsense?code=1"}), 422, "Nonsense"),
    (posted(subscribing(1) | {"criteria": "Group/lost"}), 422, "Group/lost"),
    (posted(subscribing(1, topics=["EventDefinition/lost"])), 422, "EventDefinition/lost"),
    (entry("PUT", "Patient/x", patient(id="x"), ifMatch='W/"7"'), 412, "7"),
    (posted(subscribing(1, channel(secret()) | PLAIN | {"header": ["Authorization: ***"]})), 422, "none is stored"),
])
def test_entry_that_fails_is_named_and_nothing_is_stored(client, failing, status, word):
    entries = [put(subscribing(number, SECRET)) for number in range(600)]
    entries[499] = failing
    assert_refused(client.post("", transaction(*entries)), status, "Bundle.entry[499]", word)
    assert written(client) == 0
    with client.server.database.read() as tx:
        assert logged(tx) == []
        assert tx.execute(select(func.count()).select_from(secret_header)).scalar_one() == 0


def test_entries_of_every_kind_go_together(client):
    sent(client, *(put(patient(id=id)) for id in ("gone", "patched")), put(identified("1", id="known")))
    urn = "urn:uuid:05efabf0-4be2-4561-91ce-51548425acb9"
    response = client.post("", transaction(
        put(subscribing(1, topics=["EventDefinition/admit"])),
        entry("POST", "Patient", identified("1"), ifNoneExist="identifier=urn:mrn|1"),
        entry("POST", "Patient", identified("2"), full_url=urn, ifNoneExist="identifier=urn:mrn|2"),
        entry("PATCH", "Patient/patched", json_patch({"op": "add", "path": "/gender", "value": "male"})),
        posted(observation(subject={"reference": urn})),
        put(definition("admit", trigger())),
        deleted(patient(id="gone")),
        deleted(patient(id="never")),
        entry("PUT", "Patient?identifier=urn:mrn|1", identified("1", gender="female")),
        entry("GET", "Patient/known")))
    assert statuses(response) == ["201", "200", "201", "200", "201", "201", "204", "204", "200", "200"]
    made = [one.get("resource") for one in response.resource["entry"]]
    assert made[4]["subject"] == {"reference": f"Patient/{made[2]['id']}"}
    assert made[1]["meta"]["versionId"] == "1" and made[9]["meta"]["versionId"] == "2"
    assert client.get("Patient/gone").status_code == 410
    assert client.get("Patient/never").status_code == 404


def test_definition_may_be_composed_of_one_in_the_same_transaction(client):
    sent(client, put(definition("a", trigger())), put(definition("b", topics=["EventDefinition/a"])),
         put(definition("c", topics=["EventDefinition/b"])))
    turned = transaction(put(definition("e", topics=["EventDefinition/f"])), put(definition("f", trigger())))
    assert_refused(client.post("", turned), 422, "Bundle.entry[0]", "EventDefinition/f")


def test_secrets_of_one_transaction_are_each_ones_own(client):
    entries = [put(subscribing(number, PLAIN | {"header": [f"Authorization: Bearer {number}"]})) for number in range(5)]
    sent(client, *entries)
    vault = client.server.doors["Subscription"].vault
    with client.server.database.read() as tx:
        assert [vault.reveal(tx, f"s{number}", ["Authorization: ***"]) for number in range(5)] == [
            [f"Authorization: Bearer {number}"] for number in range(5)]
    sent(client, *(deleted(subscribing(number)) for number in range(4)))
    with client.server.database.read() as tx:
        assert tx.execute(select(secret_header.c.subscription_id)).scalars().all() == ["s4"]
