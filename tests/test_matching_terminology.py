"""Subscriptions whose criteria ask for a value set: decided as it stands when a change is matched, never silent."""
import pytest
from fhir_client import assert_refused, make_client
from pipeline import Pipeline, observation
from sqlalchemy import event

from fhirsub.store import versions
from fhirsub.subscriptions.door import SubscriptionDoor
from fhirsub.subscriptions.secrets import Vault

LOINC = "http://loinc.org"
IN = "Observation?code:in=http://acme.org/blood"


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


@pytest.fixture
def client(database):
    return make_client(database, {"Subscription": SubscriptionDoor({"websocket": object()}, Vault("x" * 43 + "="))})


def value_set(*codes, id="blood"):
    return {"resourceType": "ValueSet", "id": id, "url": f"http://acme.org/{id}", "status": "active",
            "compose": {"include": [{"system": LOINC, "concept": [{"code": code} for code in codes]}]}}


CODE_SYSTEM = {"resourceType": "CodeSystem", "id": "cs", "url": LOINC, "status": "active", "content": "complete",
               "concept": [{"code": "blood", "concept": [{"code": "718-7"}, {"code": "789-8"}]}]}


def subscription(criteria, **more):
    return {"resourceType": "Subscription", "status": "requested", "reason": "try", "criteria": criteria,
            "channel": {"type": "websocket"}, **more}


def told(pipeline, id="sub"):
    with pipeline.database.read() as tx:
        return versions.current(tx, "Subscription", id).resource


@pytest.mark.parametrize("criteria, expected", [
    (IN, ["1", "2"]), (f"Observation?code:below={LOINC}|blood", ["1", "2"]),
    (f"{IN}&code:not-in=http://acme.org/white", ["1"]),
    ("Observation?code:not-in=ValueSet/blood", ["3"]), (f"Observation?code:above={LOINC}|789-8", ["2"]),
    (f"{IN}&status=final", ["1", "2"])])
def test_change_notifies_those_that_ask_for_its_code(pipeline, criteria, expected):
    for resource in (CODE_SYSTEM, value_set("718-7", "789-8"), value_set("789-8", id="white")):
        pipeline.write(resource)
    pipeline.subscribe(criteria)
    for id, code in (("1", "718-7"), ("2", "789-8"), ("3", "8867-4")):
        pipeline.write(observation(code, id=id))
    pipeline.match()
    assert [what.split("/")[1] for _, what in pipeline.events()] == expected


def test_changed_value_set_decides_the_next_change(pipeline):
    pipeline.write(value_set("718-7"))
    pipeline.subscribe(IN)
    pipeline.write(observation("789-8", id="before"))
    pipeline.match()
    pipeline.write(value_set("789-8"))
    pipeline.write(observation("789-8", id="after"))
    pipeline.match()
    assert pipeline.events() == [(1, "Observation/after/1")]
    assert pipeline.heads() == {IN: 1}


def test_value_set_that_disappears_is_told_and_its_return_heals(pipeline):
    pipeline.write(value_set("718-7"))
    pipeline.subscribe(IN)
    pipeline.subscribe("Observation?code=718-7", id="other")
    pipeline.match()
    pipeline.delete("ValueSet", "blood")
    pipeline.write(observation())
    pipeline.match()
    assert told(pipeline)["status"] == "error"
    assert "code:in=http://acme.org/blood: ValueSet http://acme.org/blood is not stored" in told(pipeline)["error"]
    assert len(pipeline.events("other")) == 1 and told(pipeline, "other")["status"] == "active"
    pipeline.write(value_set("718-7"))
    pipeline.write(observation(id="back"))
    pipeline.match()
    assert pipeline.events() == [(1, "Observation/back/1")]


def test_batch_without_such_a_question_does_not_look_value_sets_up(sqlite_database):
    pipeline, statements = Pipeline(sqlite_database), []
    pipeline.write(value_set("718-7"))
    pipeline.subscribe("Observation?code=718-7")
    pipeline.match()
    pipeline.write(observation())
    event.listen(sqlite_database.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    pipeline.match()
    assert statements and not any("search_value" in text for text in statements)


def test_batch_looks_value_sets_up_once(sqlite_database):
    pipeline, statements = Pipeline(sqlite_database), []
    for id in ("blood", "white", "red"):
        pipeline.write(value_set("718-7", id=id))
        pipeline.subscribe(f"Observation?code:in=http://acme.org/{id}", id=id)
    pipeline.write(observation())
    pipeline.match()
    for _ in range(5):
        pipeline.write(observation())
    event.listen(sqlite_database.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    pipeline.match()
    assert len([text for text in statements if "search_value" in text]) == 1


@pytest.mark.parametrize("criteria, words", [
    (IN, "ValueSet http://acme.org/blood is not stored"), ("Observation?code:in=ValueSet/q", "ValueSet/q is not stored"),
    (f"Observation?code:below={LOINC}|718-7", f"CodeSystem {LOINC} is not stored")])
def test_subscription_is_refused_where_the_codes_cannot_be_told(client, criteria, words):
    asked = subscription(criteria)
    for refused in (client.post("Subscription", asked), client.put("Subscription/x", asked | {"id": "x"}),
                    client.post("Subscription/$preview", asked)):
        assert_refused(refused, 422, words)
    issue, = client.post("Subscription", asked).resource["issue"]
    assert issue["expression"] == ["Subscription.criteria"]
    assert_refused(client.get(criteria), 400, words)


def test_subscription_without_its_value_set_can_be_switched_off(client):
    client.put("ValueSet/blood", value_set("718-7"))
    made = client.create(subscription(IN))
    client.delete("ValueSet/blood")
    assert client.put(f"Subscription/{made['id']}", made | {"status": "off"}).status_code == 200


def test_value_set_and_subscription_in_one_transaction(client):
    entries = [{"resource": resource, "request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}}
               for resource in (subscription(IN, id="late"), value_set("718-7"))]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    for _ in range(2):
        assert client.post("", bundle).status_code == 200   # the order of the entries means nothing
        bundle["entry"].reverse()


def test_preview_and_explain_evaluate_the_value_set(client):
    client.put("ValueSet/blood", value_set("718-7"))
    made = client.create(subscription(IN))
    for id, code in (("1", "718-7"), ("2", "789-8")):
        client.put(f"Observation/{id}", observation(code, id=id))
    answer = client.post("Subscription/$preview", subscription(IN)).resource
    assert [one["resource"]["id"] for one in answer["entry"] if one["search"]["mode"] == "match"] == ["1"]
    for id, expected in (("1", True), ("2", False)):
        told = client.get(f"Subscription/{made['id']}/$explain?resource=Observation/{id}").resource["parameter"]
        assert told[0] == {"name": "match", "valueBoolean": expected}
    client.delete("ValueSet/blood")
    refused = client.get(f"Subscription/{made['id']}/$explain?resource=Observation/1")
    assert_refused(refused, 422, "ValueSet http://acme.org/blood is not stored")


def test_conditional_update_by_a_value_set(client):
    client.put("ValueSet/blood", value_set("718-7"))
    client.put("Observation/1", observation(id="1"))
    changed = client.put("Observation?code:in=http://acme.org/blood", observation(status="amended"))
    assert changed.status_code == 200 and changed.resource["id"] == "1"
