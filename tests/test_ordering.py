"""Parallel notifications: up to eight at once, those of one resource in order, and the cursor never before its time."""
import threading

from delivering import delivery, receiver  # noqa: F401
from fhir_client import make_client
from receiver import slow, status
from sqlalchemy import select

from fhirsub.delivery.attempts import attempts
from fhirsub.delivery.ordering import PARALLEL
from fhirsub.fhir.extensions import ORDERING
from fhirsub.store.tables import cursor


def channel(d, asked="parallel", path="/a"):
    return {"type": "rest-hook", "endpoint": d.receiver.url(path),
            "extension": [{"url": ORDERING, "valueCode": asked}]}


def subscribed(delivery, count, **settings):
    """A Delivery with a parallel Subscription and ``count`` events that wait for it."""
    d = delivery(**settings)
    d.subscribe(channel=channel(d))
    d.happen(count)
    return d


def stands(d):
    """``(accepted, what is accepted beyond it)`` of the one cursor."""
    with d.database.read() as tx:
        row = tx.execute(select(cursor)).one()
        return row.accepted, [int(number) for number in (row.ahead or "").split()]


def depart(d, count):
    """Let notifications out, until so many have arrived."""
    d.dispatcher.hint()
    d.dispatcher.step()
    assert len(d.receiver.wait(count, "/a")) == count


def test_eight_are_under_way_and_the_rest_follows(delivery):
    d = subscribed(delivery, 20)
    d.receiver.behave("/a", slow(0.5))
    depart(d, PARALLEL)
    assert d.dispatcher.in_flight == PARALLEL
    d.pump()
    assert sorted(d.numbers()) == list(range(1, 21)) and stands(d) == (20, [])
    assert (d.state().due_at, d.state().lease) == (None, None)


def test_those_of_one_resource_come_in_order(delivery):
    d = delivery()
    d.subscribe(channel=channel(d))
    for number in range(12):
        d.happen(id=f"o{number % 3}", valueInteger=number)
    d.receiver.behave("/a", slow(0.05))
    depart(d, 3)
    d.pump()
    assert sorted(d.numbers()) == list(range(1, 13))
    for first in (1, 2, 3):
        assert [number for number in d.numbers() if number % 3 == first % 3] == list(range(first, 13, 3))


def test_cursor_stays_before_the_oldest_that_is_not_accepted(delivery):
    d = subscribed(delivery, 5)
    d.receiver.behave("/a", status(500), status(200))
    d.pump()
    [failed] = [arrival for arrival in d.receiver.at("/a") if arrival.answers == [500]]
    number = int(failed.headers["x-fhir-event-number"])
    assert stands(d) == (number - 1, list(range(number + 1, 6)))
    assert (d.resource()["status"], d.state().attempts) == ("error", 1)
    d.clock.move(10)
    d.pump()
    assert d.numbers()[5:] == [number] and stands(d) == (5, [])
    assert (d.resource()["status"], d.state().attempts) == ("active", 0)


def test_failures_at_the_same_time_count_once(delivery):
    d = subscribed(delivery, 20)
    d.receiver.behave("/a", status(500))
    d.pump()
    assert len(d.numbers()) == PARALLEL and (d.state().attempts, d.state().lease) == (1, None)
    d.clock.move(10)
    d.pump()
    assert d.numbers()[PARALLEL:] == [1] and d.state().attempts == 2  # one finds out whether it works again


def test_one_that_is_switched_off_sends_what_is_left_only_when_asked(delivery):
    d = subscribed(delivery, 4, RETRY_SCHEDULE_S="")
    d.receiver.behave("/a", status(500), status(200))
    d.pump()
    d.match()
    assert d.resource()["status"] == "off"
    d.rewrite(status="active")
    d.match()
    d.pump()
    assert len(d.numbers()) == 4


def test_what_was_accepted_beyond_is_not_sent_again_by_another_process(delivery):
    d = subscribed(delivery, 6)
    d.receiver.behave("/a", status(500), status(200))
    d.pump()
    d.clock.move(10)
    d.pump(d.another())
    assert len(d.numbers()) == 7 and len(set(d.numbers())) == 6 and stands(d) == (6, [])


def test_a_kill_repeats_what_was_under_way_and_no_more(delivery):
    d = subscribed(delivery, 20)
    d.receiver.behave("/a", slow(0.3))
    depart(d, PARALLEL)
    d.clock.move(d.dispatcher.lease_s + 1)  # nobody hears of it again
    d.receiver.behave("/a", status(200))
    d.pump(d.another())
    assert sorted(d.numbers()) == sorted([*range(1, 21), *range(1, PARALLEL + 1)]) and stands(d) == (20, [])


def test_strict_again_is_one_at_a_time_after_what_is_under_way(delivery):
    d = subscribed(delivery, 12)
    d.receiver.behave("/a", slow(0.2))
    depart(d, PARALLEL)
    d.rewrite(channel=channel(d, "strict"))
    d.match()
    d.pump()
    assert d.numbers()[PARALLEL:] == [9, 10, 11, 12] and stands(d) == (12, [])


def test_event_that_comes_later_joins_those_under_way(delivery):
    d = subscribed(delivery, 1)
    d.receiver.behave("/a", slow(1.0), status(200))
    depart(d, 1)
    d.happen()
    depart(d, 2)
    d.pump()
    assert d.numbers() == [1, 2] and stands(d) == (2, [])


def test_replay_begins_when_what_is_newer_has_landed(delivery):
    d = subscribed(delivery, 4)
    d.pump()
    d.happen()
    answered = threading.Event()
    d.receiver.behave("/a", lambda handler: answered.wait(30) and status(200)(handler), status(200))
    depart(d, 5)
    client = make_client(d.database)
    client.server.now = d.clock
    body = {"resourceType": "Parameters", "parameter": [{"name": "to", "valuePositiveInt": 2}]}
    assert client.post("Subscription/sub/$replay", body).status_code == 202
    d.dispatcher.hint()
    d.dispatcher.step()
    assert len(d.numbers()) == 5
    answered.set()
    d.pump()
    assert d.numbers()[4] == 5 and sorted(d.numbers()[5:]) == [1, 2] and d.accepted() == [5]


def test_limit_of_the_dispatcher_holds(delivery):
    d = subscribed(delivery, 10, IN_FLIGHT=3)
    d.receiver.behave("/a", slow(0.1))
    depart(d, 3)
    assert d.dispatcher.in_flight == 3
    d.pump()
    assert sorted(d.numbers()) == list(range(1, 11))


def test_attempt_log_tells_when_only_of_what_failed(delivery):
    d = subscribed(delivery, 3)
    d.receiver.behave("/a", status(500), status(200))
    d.pump()
    with d.database.read() as tx:
        rows = attempts(tx, "sub", count=10)
    assert sorted((row.status, row.next_at is None) for row in rows) == [(200, True), (200, True), (500, False)]


def test_owner_who_asks_anew_does_not_wait_for_the_pause_of_what_failed(delivery):
    d = subscribed(delivery, 2, RETRY_SCHEDULE_S="80000")
    answered = threading.Event()
    d.receiver.behave("/a", status(500), lambda handler: answered.wait(30) and status(200)(handler), status(200))
    depart(d, 2)
    while not d.state().attempts:  # the first has landed, the other is under way
        d.dispatcher._wake.wait(0.01)
        d.dispatcher.step()
    d.rewrite(status="active")
    d.match()
    answered.set()
    d.pump()
    assert len(d.numbers()) == 3 and stands(d) == (2, []) and d.resource()["status"] == "active"
