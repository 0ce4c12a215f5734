"""Subscription/ID/$replay: again, in order, under the old numbers. Spec: https://hl7.org/fhir/R4/operations.html"""
from datetime import datetime, timedelta, timezone

import pytest
from delivering import Running, delivery, real_time, receiver  # noqa: F401
from fhir.resources.R4B.parameters import Parameters
from fhir_client import assert_refused, make_client
from receiver import slow, status
from sqlalchemy import delete, select

from fhirsub.delivery.retention import Retention
from fhirsub.fhir.instants import instant_text
from fhirsub.store.tables import attempt, cursor, event

KINDS = {"since": "valueInstant", "until": "valueInstant", "from": "valuePositiveInt", "to": "valuePositiveInt",
         "parked": "valueBoolean"}


def ask(d, id="sub", **asked):
    """The response to a $replay; ``since`` and ``until`` as datetimes, ``from_`` for from."""
    parameters = []
    for name, value in asked.items():
        name = name.rstrip("_")
        parameters.append({"name": name, KINDS[name]: instant_text(value) if name in ("since", "until") else value})
    client = make_client(d.database)
    client.server.now = d.clock
    body = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    return client.post(f"Subscription/{id}/$replay", body)


def replay(d, **asked):
    """How many events are sent again, once they have been."""
    response = ask(d, **asked)
    assert response.status_code == 202, response.text
    Parameters.model_validate(response.resource)
    d.pump()
    return response.resource["parameter"][0]["valueUnsignedInt"]


def cursors(d):
    with d.database.read() as tx:
        return [(row.accepted, row.until) for row in tx.execute(select(cursor).order_by(cursor.c.key))]


def delivered(delivery, count, **settings):
    d = delivery(**settings)
    d.subscribe()
    d.happen(count)
    d.pump()
    assert d.numbers() == list(range(1, count + 1))
    d.receiver.arrivals.clear()
    return d


@pytest.mark.parametrize("asked, numbers", [
    ({"from_": 2, "to": 4}, [2, 3, 4]), ({"from_": 4}, [4, 5]), ({"to": 2}, [1, 2]), ({"from_": 6}, []),
    ({"from_": 5, "to": 9}, [5])])
def test_events_are_sent_again_by_number(delivery, asked, numbers):
    d = delivered(delivery, 5)
    assert replay(d, **asked) == len(numbers)
    assert d.numbers() == numbers and cursors(d) == [(5, None)]


def test_events_are_sent_again_by_time(delivery):
    d = delivered(delivery, 2)
    d.clock.move(60)
    middle = d.clock()
    d.happen(2)
    d.clock.move(60)
    d.happen(2)
    d.pump()
    d.receiver.arrivals.clear()
    assert replay(d, since=middle, until=middle + timedelta(seconds=30)) == 2 and d.numbers() == [3, 4]
    assert replay(d, since=middle) == 4 and d.numbers()[2:] == [3, 4, 5, 6]
    assert replay(d, until=middle - timedelta(seconds=1)) == 2
    assert replay(d, since=d.clock() + timedelta(days=1)) == 0


def test_repetition_carries_the_first_id_and_is_logged_as_manual(delivery):
    d = delivery()
    d.subscribe(payload="application/fhir+json")
    d.happen(2)
    d.pump()
    replay(d, from_=1, to=1)
    first, _, again = d.receiver.at("/a")
    assert first.headers["webhook-id"] == again.headers["webhook-id"] and first.body == again.body
    with d.database.read() as tx:
        assert tx.execute(select(attempt.c.manual).order_by(attempt.c.key)).scalars().all() == [False, False, True]


def test_replay_comes_before_what_is_newer_and_moves_nothing_else(delivery):
    d = delivered(delivery, 3)
    d.happen(2)
    assert replay(d, from_=1) == 3
    assert d.numbers() == [1, 2, 3, 4, 5] and cursors(d) == [(5, None)]
    d.happen()
    d.pump()
    assert d.numbers()[-1] == 6


def test_replay_waits_for_what_is_in_flight(delivery):
    d = delivered(delivery, 2)
    d.receiver.behave("/a", slow(0.2), status(200))
    d.happen(2)
    d.dispatcher.hint()
    d.dispatcher.step()
    d.receiver.wait(1)
    assert replay(d, from_=1, to=2) == 2
    assert d.numbers() == [3, 1, 2, 4]


def test_failing_replay_is_tried_again_in_order(delivery):
    d = delivered(delivery, 3)
    d.receiver.behave("/a", status(500), status(200))
    replay(d, from_=2)
    assert d.numbers() == [2] and d.resource()["status"] == "error"
    d.clock.move(10)
    d.pump()
    assert d.numbers() == [2, 2, 3] and d.resource()["status"] == "active"


def test_replay_cancels_the_pause_before_the_next_attempt(delivery):
    d = delivered(delivery, 1)
    d.receiver.behave("/a", status(500), status(200))
    d.happen()
    d.pump()
    assert d.state().attempts == 1
    replay(d, from_=1)
    assert d.numbers() == [2, 1, 2] and d.resource()["status"] == "active"


def test_replay_reaches_back_over_other_criteria(delivery):
    d = delivered(delivery, 2)
    d.rewrite(criteria="Observation?status=amended")
    d.match()
    d.happen(2, status="amended")
    d.pump()
    d.receiver.arrivals.clear()
    assert replay(d, from_=2, to=3) == 2 and d.numbers() == [2, 3]
    assert replay(d, to=9) == 4 and d.numbers() == [2, 3, 1, 2, 3, 4]


def test_replay_reaches_back_over_a_time_while_it_was_off(delivery):
    d = delivered(delivery, 2)
    d.rewrite(status="off")
    d.happen(2)
    d.rewrite(status="active")
    d.match()
    d.happen(1)
    d.pump()
    assert d.numbers() == [3]
    assert replay(d, from_=1) == 3 and d.numbers() == [3, 1, 2, 3]


def parked(delivery, count):
    d = delivery(RETRY_SCHEDULE_S="1")
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen(count)
    for _ in range(2):
        d.pump()
        d.clock.move(2)
    d.match()
    assert d.resource()["status"] == "off" and "parked" in d.resource()["error"]
    d.receiver.behave("/a", status(200))
    d.receiver.arrivals.clear()
    return d


def test_parked_events_are_sent_when_asked_for(delivery):
    d = parked(delivery, 3)
    assert_refused(ask(d, parked=True), 409, "off")
    d.rewrite(status="active")
    d.match()
    d.happen(2)
    d.pump()
    assert d.numbers() == [4, 5]
    assert replay(d, parked=True) == 3 and d.numbers() == [4, 5, 1, 2, 3]
    assert replay(d, parked=True) == 0


def test_parked_events_are_parked_again(delivery):
    d = parked(delivery, 3)
    d.rewrite(status="active")
    d.match()
    d.receiver.behave("/a", status(200), status(410))
    assert replay(d, parked=True) == 3
    d.match()
    assert d.numbers() == [1, 2] and d.resource()["status"] == "off"
    d.receiver.behave("/a", status(200))
    d.rewrite(status="active")
    d.match()
    assert replay(d, parked=True) == 2 and d.numbers() == [1, 2, 2, 3]


def test_one_replay_at_a_time(delivery):
    d = delivered(delivery, 5)
    assert ask(d, from_=1).status_code == 202
    assert_refused(ask(d, from_=1), 409, "under way", "5 events")
    d.pump()
    assert ask(d, from_=1).status_code == 202


def test_what_is_not_kept_any_more_is_refused(delivery):
    d = delivered(delivery, 5)
    with d.database.write() as tx:
        tx.execute(delete(event).where(event.c.number <= 2))
    assert_refused(ask(d, from_=2), 422, "not kept any more", "EVENT_DAYS")
    assert_refused(ask(d, until=d.clock()), 422, "not kept any more")
    assert_refused(ask(d, since=d.clock() - timedelta(days=31)), 422, "not kept any more")
    assert replay(d, since=d.clock() - timedelta(days=1)) == 3
    assert replay(d, from_=3) == 3


def test_too_much_at_once_is_refused(delivery, monkeypatch):
    monkeypatch.setattr("fhirsub.delivery.replay.MAX_EVENTS", 3)
    d = delivered(delivery, 5)
    assert_refused(ask(d, from_=1), 422, "5 events")
    assert replay(d, from_=3) == 3


def test_replay_of_what_cannot_be_replayed_is_refused(delivery):
    d = delivery()
    assert_refused(ask(d, from_=1), 404, "Subscription/sub")
    d.write({"resourceType": "Subscription", "id": "new", "status": "active", "reason": "test",
             "criteria": "Observation", "channel": {"type": "rest-hook", "endpoint": d.receiver.url("/n")}})
    assert_refused(ask(d, id="new", from_=1), 409, "not switched on")
    d.subscribe(kind="websocket", id="socket")
    assert_refused(ask(d, id="socket", from_=1), 422, "websocket")
    d.delete("Subscription", "socket")
    assert_refused(ask(d, id="socket", from_=1), 410, "deleted")


@pytest.mark.parametrize("parameters", [
    [], [{"name": "from", "valuePositiveInt": 1}, {"name": "since", "valueInstant": "2024-05-01T00:00:00Z"}],
    [{"name": "parked", "valueBoolean": False}], [{"name": "parked", "valueBoolean": True}] * 2,
    [{"name": "from", "valueInteger": 1}], [{"name": "nonsense", "valueBoolean": True}],
    [{"name": "since", "valueDateTime": "2024-05-01"}]])
def test_parameters_that_say_nothing_clear_are_refused(delivery, parameters):
    d = delivered(delivery, 1)
    body = {"resourceType": "Parameters"} | ({"parameter": parameters} if parameters else {})
    response = make_client(d.database).post("Subscription/sub/$replay", body)
    assert_refused(response, 422, "since and until (valueInstant), or from and to")


@pytest.mark.parametrize("asked, words", [
    ({"from_": 5, "to": 2}, "expected from not to be after to; got 5 and 2"),
    ({"since": datetime(2025, 1, 1, tzinfo=timezone.utc), "until": datetime(2024, 1, 1, tzinfo=timezone.utc)},
     "expected since not to be after until; got 2025")])
def test_range_that_ends_before_it_begins_is_refused(delivery, asked, words):
    assert_refused(ask(delivered(delivery, 3), **asked), 422, words)


def test_replay_in_a_transaction_comes_after_its_writes(delivery):
    d = delivered(delivery, 2)
    client = make_client(d.database)
    client.server.now = d.clock
    body = {"resourceType": "Parameters", "parameter": [{"name": "from", "valuePositiveInt": 1}]}
    entries = [{"resource": body, "request": {"method": "POST", "url": "Subscription/sub/$replay"}}]
    response = client.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert response.status_code == 200, response.text
    assert response.resource["entry"][0]["response"]["status"].startswith("202")
    d.pump()
    assert d.numbers() == [1, 2]


def test_replays_and_pruning_beside_a_running_dispatcher_keep_the_order(delivery):
    d = delivery(SWEEP_S=0.2, EVENT_DAYS=1)
    d.dispatcher.now = real_time
    d.clock.now = real_time()
    d.subscribe()
    pruning, running, again = Retention(d.database, d.config, now=d.clock), Running(d.dispatcher), 0
    for count in range(1, 31):
        d.happen()
        if count % 5 == 0:
            d.receiver.wait(count)  # something was accepted
            response = ask(d, to=5)
            assert response.status_code in (202, 409), response.text
            again += response.resource["parameter"][0]["valueUnsignedInt"] if response.status_code == 202 else 0
        pruning.step()
    assert len(d.receiver.wait(30 + again, timeout_s=60)) == 30 + again
    running.stop()
    numbers, newest = d.numbers(), 0
    for number in numbers:
        assert number <= 5 or number == newest + 1, numbers
        newest = max(newest, number)
    assert again >= 5 and newest == 30 and cursors(d) == [(30, None)]
