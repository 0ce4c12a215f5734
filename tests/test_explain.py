"""Subscription/ID/$explain: why didn't it fire? Spec: https://hl7.org/fhir/R4/operations.html"""
from datetime import timedelta

import pytest
from fhir.resources.R4B.parameters import Parameters
from fhir_client import assert_refused, make_client
from pipeline import CODE, Pipeline, observation
from sqlalchemy import update

from fhirsub.fhir.instants import instant_text
from fhirsub.store import changes
from fhirsub.store.changes import Change
from fhirsub.store.tables import cursor, subscription

CRITERIA = f"Observation?code={CODE}&status:not=entered-in-error"


@pytest.fixture
def pipeline(database):
    """A matcher whose steps a test takes, and a client of the same database."""
    made = Pipeline(database)
    made.client = make_client(database)
    made.client.server.now = made.clock
    return made


def explain(pipeline, written, id="sub"):
    """The answer as ``{"match": bool, "predicate": {parameter: {part: [value, …]}}, "reason": {code: {…}}}``."""
    reference = written if isinstance(written, str) else f"{written.type}/{written.id}/_history/{written.version_id}"
    response = pipeline.client.get(f"Subscription/{id}/$explain?resource={reference}")
    assert response.status_code == 200, response.text
    Parameters.model_validate(response.resource)
    told = {"predicate": {}, "reason": {}}
    for one in response.resource["parameter"]:
        if "part" not in one:
            told[one["name"]] = value(one)
            continue
        parts = {}
        for part in one["part"]:
            parts.setdefault(part["name"], []).append(value(part))
        told[one["name"]][parts["parameter" if one["name"] == "predicate" else "code"][0]] = parts
    return told


def value(parameter):
    return next(found for name, found in parameter.items() if name.startswith("value"))


def deliver(pipeline, number):
    with pipeline.database.write() as tx:
        tx.execute(update(cursor).values(accepted=number))


def test_explain_tells_what_each_predicate_asked_and_found(pipeline):
    pipeline.subscribe(CRITERIA)
    written = pipeline.write(observation(status="entered-in-error"))
    told = explain(pipeline, f"Observation/{written.id}")
    assert told["match"] is False and told["criteria"] == CRITERIA
    assert told["resource"] == {"reference": f"Observation/{written.id}/_history/1"}
    assert told["predicate"] == {
        "type": {"parameter": ["type"], "asked": ["Observation"], "found": ["Observation"], "match": [True]},
        "code": {"parameter": ["code"], "asked": [CODE], "found": [CODE], "match": [True]},
        "status": {"parameter": ["status"], "modifier": ["not"], "asked": ["entered-in-error"],
                   "found": ["http://hl7.org/fhir/observation-status|entered-in-error"], "match": [False]}}


def test_explain_of_another_type_asks_no_further(pipeline):
    pipeline.subscribe(CRITERIA)
    told = explain(pipeline, pipeline.write({"resourceType": "Patient"}))
    assert told["match"] is False and list(told["predicate"]) == ["type"]


def test_explain_shows_every_kind_of_value(pipeline):
    pipeline.subscribe("Observation?subject=Patient/2&date=ge2024&value-quantity=gt5||mg&value-string=a"
                       "&_source=http://s&code-value-quantity=1$2&code:text=haemo")
    written = pipeline.write({
        "resourceType": "Observation", "status": "final", "meta": {"source": "http://other"},
        "subject": {"reference": "Patient/1"}, "effectivePeriod": {"start": "2023-05-01"},
        "code": {"text": "Haemoglobin", "coding": [{"code": "718-7"}]},
        "valueQuantity": {"value": 4, "comparator": "<", "unit": "mg"}})
    found = {name: parts.get("found") for name, parts in explain(pipeline, written)["predicate"].items()}
    assert found == {
        "type": ["Observation"], "subject": ["Patient/1"], "date": ["2023-05-01T00:00:00Z/.."],
        "value-quantity": ["..4||mg"], "value-string": None, "_source": ["http://other"],
        "code": ["718-7", "(Haemoglobin)"], "code-value-quantity": ["718-7,(Haemoglobin)$..4||mg"]}


def test_write_that_did_not_match(pipeline):
    pipeline.subscribe(CRITERIA)
    written = pipeline.write(observation("other"))
    pipeline.match()
    assert list(explain(pipeline, written)["reason"]) == ["no-match"]


def test_write_on_its_way(pipeline):
    pipeline.subscribe(CRITERIA)
    first, second = pipeline.write(observation()), pipeline.write(observation())
    assert list(explain(pipeline, first)["reason"]) == ["pending"]
    pipeline.match()
    with pipeline.database.write() as tx:
        tx.execute(update(subscription).values(attempts=3))
    assert explain(pipeline, first)["reason"]["waiting"] | {"text": []} == {
        "code": ["waiting"], "text": [], "eventNumber": [1], "attempts": [3]}
    told = explain(pipeline, second)["reason"]["waiting"]
    assert told["eventNumber"] == [2] and "events before it: 1" in told["text"][0]
    deliver(pipeline, 1)
    told = explain(pipeline, first)
    assert told["match"] is True and told["reason"]["delivered"]["eventNumber"] == [1]
    assert list(explain(pipeline, second)["reason"]) == ["waiting"]


def test_error_of_the_subscription_is_told(pipeline):
    pipeline.subscribe(CRITERIA, status="error", error="the endpoint answered 500")
    written = pipeline.write(observation())
    pipeline.match()
    told = explain(pipeline, written)["reason"]
    assert list(told) == ["waiting", "error"] and told["error"]["text"] == ["the endpoint answered 500"]


def test_write_before_the_subscription(pipeline):
    written = pipeline.write(observation())
    pipeline.subscribe(CRITERIA)
    pipeline.match()
    told = explain(pipeline, written)
    assert told["match"] is True and list(told["reason"]) == ["switched-on-later"]


def test_write_while_it_was_off(pipeline):
    pipeline.subscribe(CRITERIA, status="off")
    written = pipeline.write(observation())
    assert list(explain(pipeline, written)["reason"]) == ["was-off", "off"]
    pipeline.subscribe(CRITERIA)
    pipeline.match()
    assert list(explain(pipeline, written)["reason"]) == ["was-off"]


def test_backlog_of_a_subscription_that_was_switched_off(pipeline):
    pipeline.subscribe(CRITERIA)
    written = pipeline.write(observation())
    pipeline.subscribe(CRITERIA, status="off")
    pipeline.match()
    told = explain(pipeline, written)["reason"]
    assert list(told) == ["parked", "off"] and told["parked"]["eventNumber"] == [1]
    pipeline.subscribe(CRITERIA)
    pipeline.match()
    assert list(explain(pipeline, written)["reason"]) == ["parked"]


def test_subscription_past_its_end(pipeline):
    pipeline.subscribe(CRITERIA, end=instant_text(pipeline.clock() + timedelta(seconds=5)))
    written = pipeline.write(observation())
    pipeline.clock.move(6)
    assert "ended" in explain(pipeline, written)["reason"]


def test_criteria_that_changed_since(pipeline):
    pipeline.subscribe(CRITERIA)
    written = pipeline.write(observation())
    pipeline.subscribe("Observation?code=other")
    pipeline.match()
    told = explain(pipeline, written)
    assert told["match"] is False and list(told["reason"]) == ["other-criteria", "waiting"]
    assert CRITERIA in told["reason"]["other-criteria"]["text"][0]


def test_number_of_a_forgotten_cursor_is_not_made_up(pipeline):
    """Back at its first question, the open cursor counts from elsewhere than the one that delivered the event."""
    pipeline.subscribe(CRITERIA)
    first = pipeline.write(observation())
    pipeline.subscribe("Observation?status=final")
    others = [pipeline.write(observation("other")) for _ in range(3)]
    pipeline.match()
    with pipeline.database.write() as tx:
        tx.execute(cursor.delete().where(cursor.c.until.is_not(None)))   # as a dispatcher does after the last delivery
    pipeline.subscribe(CRITERIA)
    last = pipeline.write(observation())
    pipeline.match()
    assert "eventNumber" not in explain(pipeline, first)["reason"]["delivered"]
    assert explain(pipeline, others[2])["reason"]["waiting"]["eventNumber"] == [4]
    assert explain(pipeline, last)["reason"]["waiting"]["eventNumber"] == [5]


def test_versions_are_told_apart(pipeline):
    pipeline.subscribe(CRITERIA)
    pipeline.write(observation(id="o"))
    pipeline.write(observation("other", id="o"))
    pipeline.match()
    assert explain(pipeline, "Observation/o/_history/1")["match"] is True
    assert explain(pipeline, "Observation/o")["match"] is False
    told = explain(pipeline, "http://localhost/fhir/Observation/o")
    assert told["resource"] == {"reference": "Observation/o/_history/2"}


def test_change_of_a_host_application_is_explained(pipeline):
    pipeline.subscribe(CRITERIA)
    with pipeline.database.write() as tx:
        changes.record(tx, Change("Observation", "h", "v-1", "create", observation(id="h")), now=pipeline.clock())
    pipeline.match()
    assert list(explain(pipeline, "Observation/h/_history/v-1")["reason"]) == ["waiting"]


def test_secrets_are_not_shown(pipeline):
    header = ["Authorization: ***", "X-Plain: seen"]
    pipeline.subscribe(CRITERIA, channel={"type": "rest-hook", "endpoint": "http://127.0.0.1:9/hush", "header": header})
    pipeline.write(observation(id="o"))
    text = pipeline.client.get("Subscription/sub/$explain?resource=Observation/o").text
    assert "hush" not in text and "Authorization" not in text


@pytest.mark.parametrize("query, words", [
    ("", "resource: expected what was written"), ("?resource=", "resource"), ("?resource=Observation", "Type/id"),
    ("?resource=Nonsense/1", "Nonsense/1"), ("?resource=Observation/1&version=2", "version"),
    ("?resource=http://elsewhere/fhir/Observation/1", "elsewhere")])
def test_what_cannot_be_read_is_refused(pipeline, query, words):
    pipeline.subscribe(CRITERIA)
    assert_refused(pipeline.client.get(f"Subscription/sub/$explain{query}"), 400, words)


def test_what_is_not_there_is_not_found(pipeline):
    client = pipeline.client
    assert_refused(client.get("Subscription/sub/$explain?resource=Observation/o"), 404, "Subscription/sub")
    pipeline.subscribe(CRITERIA)
    assert_refused(client.get("Subscription/sub/$explain?resource=Observation/o"), 404, "Observation/o")
    pipeline.write(observation(id="o"))
    assert_refused(client.get("Subscription/sub/$explain?resource=Observation/o/_history/2"), 404, "_history/2")
    pipeline.delete("Observation", "o")
    assert_refused(client.get("Subscription/sub/$explain?resource=Observation/o"), 410, "a delete notifies nobody")
    assert client.get("Subscription/sub/$explain?resource=Observation/o/_history/1").status_code == 200
    pipeline.delete("Subscription", "sub")
    assert_refused(client.get("Subscription/sub/$explain?resource=Observation/o/_history/1"), 410, "Subscription/sub")


def test_explain_is_of_one_subscription(pipeline):
    assert_refused(pipeline.client.get("Subscription/$explain?resource=Observation/o"), 404)
    assert_refused(pipeline.client.get("Patient/1/$explain?resource=Observation/o"), 404)
    assert_refused(pipeline.client.post("Subscription/sub/$explain", {}), 405)
