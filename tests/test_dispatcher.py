import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
from cryptography.fernet import Fernet
from delivering import FHIR, Delivery, Running, delivery, real_time, receiver  # noqa: F401
from pipeline import NOW, observation
from receiver import hang, slow, status
from sqlalchemy import select, update

from fhirsub.delivery import claims
from fhirsub.delivery.channels import GiveUp, TryLater
from fhirsub.delivery.settlement import PARKED
from fhirsub.errors import StorageError
from fhirsub.store import owner
from fhirsub.store.tables import change, event, subscription
from fhirsub.subscriptions.secrets import Vault

# What is sent


def test_events_arrive_in_order_and_each_once(delivery):
    d = delivery()
    d.subscribe()
    d.happen(20)
    d.pump()
    assert d.numbers() == list(range(1, 21)) and d.accepted() == [20]
    assert (d.state().due_at, d.state().lease) == (None, None)


def test_payload_is_the_version_that_matched(delivery):
    d = delivery()
    d.subscribe(payload=FHIR)
    first = d.write(observation(id="o", valueInteger=1))
    d.match()
    second = d.write(observation(id="o", valueInteger=2))
    d.match()
    d.pump()
    assert [arrival.body for arrival in d.receiver.at("/a")] == [first.content.encode(), second.content.encode()]


def test_secret_headers_are_filled_in_for_sending_only(delivery):
    d = delivery()
    d.subscribe(header=["Authorization: Bearer abc", "X-Plain: 1"])
    d.happen()
    d.pump()
    headers = d.receiver.at("/a")[0].headers
    assert (headers["authorization"], headers["x-plain"]) == ("Bearer abc", "1")
    assert d.resource()["channel"]["header"] == ["Authorization: ***", "X-Plain: 1"]


def test_secret_of_another_key_is_an_error_of_its_subscription_alone(delivery):
    d = delivery()
    d.subscribe(id="lost", path="/lost", header=["Authorization: Bearer abc"])
    d.subscribe(id="sub")
    d.dispatcher.vault = Vault(Fernet.generate_key())
    d.happen()
    d.pump()
    assert d.numbers() == [1] and not d.receiver.at("/lost")
    assert d.resource("lost")["status"] == "error" and "SECRET_KEY" in d.resource("lost")["error"]


def test_one_subscription_has_one_notification_in_flight(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", slow(0.2))
    d.happen(3)
    d.dispatcher.step()
    d.receiver.wait(1)
    d.dispatcher.hint()
    d.dispatcher.step()
    assert d.dispatcher.in_flight == 1 and d.numbers() == [1]
    d.pump()
    assert d.numbers() == [1, 2, 3]


def test_new_question_follows_when_the_old_one_is_worked_off(delivery):
    d = delivery()
    d.subscribe("Observation?status=final")
    d.happen(3)
    d.rewrite(criteria="Observation?status=amended")
    d.match()
    d.happen(2, status="amended")
    d.pump()
    assert d.numbers() == [1, 2, 3, 4, 5]
    assert d.accepted() == [3, 2]  # the first is kept: a replay needs to know what its numbers stood for


def test_new_endpoint_gets_what_was_waiting(delivery):  # reliability C1.10
    d = delivery()
    d.subscribe()
    d.happen(2)
    d.rewrite(channel={"type": "rest-hook", "endpoint": d.receiver.url("/b")})
    d.pump()
    assert (d.numbers("/a"), d.numbers("/b")) == ([], [1, 2])


def test_event_of_a_host_application_is_sent_with_its_own_content(delivery):
    from fhirsub.store import changes
    d = delivery()
    d.subscribe(payload=FHIR)
    resource = observation(id="h") | {"status": "final"}
    with d.database.write() as tx:
        changes.record(tx, changes.Change("Observation", "h", "rev-a1", "create", resource), now=d.clock())
    d.match()
    d.pump()
    assert b'"id":"h"' in d.receiver.at("/a")[0].body


# Off is off


@pytest.mark.parametrize("how", ["off", "deleted", "ended", "websocket"])
def test_nothing_is_sent_once_it_is_off(delivery, how):
    """At once: also for events that matched before, and before the matcher has met the change."""
    d = delivery()
    d.subscribe(**({"end": "2024-05-01T12:00:10Z"} if how == "ended" else {}))
    d.happen(3)
    if how == "off":
        d.rewrite(status="off")
    elif how == "deleted":
        d.delete("Subscription", "sub")
    elif how == "ended":
        d.clock.move(10)
    else:
        d.rewrite(channel={"type": "websocket"})
        d.match()
    d.pump()
    assert not d.receiver.arrivals and d.state().due_at is None


def test_off_stops_a_backlog_in_the_middle(delivery):
    d = delivery()
    d.subscribe()
    d.happen(5)
    d.receiver.behave("/a", slow(0.2))
    d.dispatcher.step()
    d.receiver.wait(1)
    d.rewrite(status="off")
    d.pump()
    assert d.numbers() == [1]


def test_past_end_becomes_off(delivery):
    d = delivery()
    d.subscribe(end="2024-05-01T12:00:10Z")
    d.pump()
    assert d.resource()["status"] == "active"
    d.clock.move(10)
    time.sleep(0.06)  # until the next sweep
    d.dispatcher.step()
    assert d.resource()["status"] == "off" and d.state().ends_at is None


def test_end_that_was_moved_meanwhile_is_left_alone(delivery):
    d = delivery()
    d.subscribe(end="2024-05-01T12:00:10Z")
    d.rewrite(end="2025-01-01T00:00:00Z")  # not met by the matcher yet
    d.clock.move(10)
    d.dispatcher.step()
    assert d.resource()["status"] == "active"
    d.match()
    assert d.state().ends_at == datetime(2025, 1, 1, tzinfo=timezone.utc)


def test_end_that_is_moved_after_it_has_passed_loses_nothing(delivery):
    """Between the end and the sweep that would switch it off, a dispatcher finds it past its end, and then it is not."""
    d = delivery(SWEEP_S=30.0)
    d.subscribe(end="2024-05-01T12:00:10Z")
    d.pump()  # the next sweep is far
    d.happen(2)
    d.clock.move(10)
    d.pump()
    assert not d.receiver.arrivals and d.resource()["status"] == "active"
    d.rewrite(end="2025-01-01T00:00:00Z")
    d.match()
    d.clock.move(3)
    d.pump()
    assert d.numbers() == [1, 2]


# What changed in the resource's standing is told, without the resource


@pytest.mark.parametrize("transition, shown", [("enter", True), ("update", True), (None, True), ("leave", False),
                                               ("delete", False)])
def test_transition_topics_and_context_of_an_event_are_told(delivery, transition, shown):
    d, texts = delivery(), Texts()
    d.channels["x-sms"] = texts
    d.subscribe(kind="x-sms", payload=FHIR)
    d.happen()
    with d.database.write() as tx:
        tx.execute(update(event).values(transition=transition, topics="adt-a01 adt-a02"))
        tx.execute(update(change).values(context='["Patient/1","Group/2"]'))
    d.pump()
    [sent] = texts.sent
    assert (sent.transition, sent.topics, sent.context) == (transition, ("adt-a01", "adt-a02"), ("Patient/1", "Group/2"))
    assert (sent.content is not None) is shown


# Failures


def test_failure_makes_error_and_success_makes_active_again(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(200))
    d.happen(3)
    d.pump()
    assert d.resource()["status"] == "error" and "500" in d.resource()["error"]
    assert d.numbers() == [1] and d.state().attempts == 1 and d.state().lease is None
    assert timedelta(seconds=4) <= d.state().due_at - NOW <= timedelta(seconds=6)
    d.pump()
    assert d.numbers() == [1]  # not before its time
    d.clock.move(6)
    d.pump()
    assert d.numbers() == [1, 1, 2, 3] and d.state().attempts == 0
    assert d.resource()["status"] == "active" and "error" not in d.resource()


def test_every_attempt_carries_the_same_id(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(200))
    d.happen()
    d.pump()
    d.clock.move(6)
    d.pump()
    first, second = d.receiver.at("/a")
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 6


def test_repeated_failure_writes_one_version(delivery):  # A3.6
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(500), status(404), status(200))
    d.happen()
    versions_seen = []
    for _ in range(4):
        d.pump()
        versions_seen.append(d.resource()["meta"]["versionId"])
        d.clock.move(3600)
    assert versions_seen == ["2", "2", "3", "4"]


def test_used_up_schedule_switches_off(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen(2)
    for _ in range(6):
        d.pump()
        d.clock.move(3600)
    assert d.numbers() == [1, 1, 1, 1]  # three pauses, four attempts
    assert d.resource()["status"] == "off"
    assert "500" in d.resource()["error"] and "4 attempts" in d.resource()["error"]
    assert (d.state().due_at, d.state().attempts) == (None, 0)


def test_410_switches_off_at_once(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(410))
    d.happen(2)
    d.pump()
    d.match()
    d.pump()
    assert d.numbers() == [1] and d.resource()["status"] == "off" and "410" in d.resource()["error"]


def test_retry_after_is_honoured(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(429, [("Retry-After", "120")]), status(200))
    d.happen()
    d.pump()
    assert d.state().due_at == NOW + timedelta(seconds=120)


@pytest.mark.parametrize("code, floored", [(503, True), (500, False)])
def test_throttling_answer_waits_for_the_floor(delivery, code, floored):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(code))
    d.happen()
    d.pump()
    assert (d.state().due_at >= NOW + timedelta(seconds=60)) is floored


def test_schedule_survives_a_restart(delivery):  # A3.9
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen()
    d.pump()
    d.clock.move(6)
    d.pump(d.another())
    assert d.state().attempts == 2 and d.state().due_at > d.clock() + timedelta(seconds=200)


def test_failure_of_an_endpoint_replaced_meanwhile_counts_for_nothing(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", slow(0.2, status(500)))
    d.happen()
    d.dispatcher.step()
    d.receiver.wait(1)
    d.rewrite(channel={"type": "rest-hook", "endpoint": d.receiver.url("/b")})
    d.pump()
    assert d.numbers("/b") == [1] and d.resource()["status"] == "active"


def test_failing_subscription_does_not_hold_up_others(delivery):
    d = delivery()
    d.subscribe(id="bad", path="/bad")
    d.subscribe(id="gone", path="/gone")
    d.subscribe(id="sub")
    d.receiver.behave("/bad", status(500))
    d.receiver.behave("/gone", status(410))
    d.happen(5)
    d.pump()
    assert d.numbers() == [1, 2, 3, 4, 5] and d.numbers("/bad") == [1]


# Other channels


class Texts:
    """A channel of a host application: it blocks, and fails as it is told."""

    def __init__(self, *errors):
        self.errors, self.sent = list(errors), []

    def send(self, notification):
        time.sleep(0.02)
        if self.errors:
            raise self.errors.pop(0)
        self.sent.append(notification)


def test_blocking_channel_is_called_on_a_thread(delivery):
    d, texts = delivery(), Texts()
    d.channels["x-sms"] = texts
    d.subscribe(kind="x-sms", payload=FHIR)
    d.happen(3)
    d.pump()
    assert [notification.event_number for notification in texts.sent] == [1, 2, 3]
    assert texts.sent[0].resource["resourceType"] == "Observation" and texts.sent[0].attempt == 1


@pytest.mark.parametrize("error, found, due_s", [
    (TryLater(30, "the line is busy"), ("error", "the line is busy"), 30),
    (GiveUp("no such number"), ("off", f"no such number; switched off; {PARKED}"), None),
    (KeyError("secret-7"), ("error", "the channel could not deliver"), 5)])
def test_channel_says_how_it_failed(delivery, error, found, due_s, caplog):
    d = delivery()
    d.channels["x-sms"] = Texts(error)
    d.subscribe(kind="x-sms")
    d.happen()
    d.pump()
    assert (d.resource()["status"], d.resource()["error"]) == found
    due_at = d.state().due_at
    assert due_at is None if due_s is None else abs((due_at - NOW).total_seconds() - due_s) <= 1


def test_channel_that_is_not_set_up_here_is_an_error(delivery):
    d = delivery()
    d.subscribe(kind="x-fax")
    d.happen()
    d.pump()
    assert d.resource()["status"] == "error" and "x-fax" in d.resource()["error"]


# Claims and leases


def test_two_dispatchers_send_each_event_once(delivery):  # F19
    d = delivery()
    for number in range(10):
        d.subscribe(id=f"s{number}", path=f"/{number}")
    d.happen(20)
    d.dispatcher.now = real_time
    running = [Running(d.dispatcher), Running(d.another(now=real_time))]
    d.receiver.wait(200, timeout_s=30)
    for each in running:
        each.stop()
    assert [d.numbers(f"/{number}") for number in range(10)] == [list(range(1, 21))] * 10


def test_stale_dispatcher_moves_nothing(delivery):  # F20
    d = delivery()
    d.subscribe()
    d.happen(3)
    d.receiver.behave("/a", slow(0.2), status(200))
    stale, fresh = d.dispatcher, d.another()
    stale.step()
    d.receiver.wait(1)
    d.clock.move(60)  # its lease has run out
    d.pump(fresh)
    assert d.numbers() == [1, 1, 2, 3] and d.accepted() == [3]
    d.happen()
    with d.database.write() as tx:  # and somebody else holds it now
        claims.claim(tx, "another", now=d.clock(), limit=1, lease_s=30)
    d.pump(stale)
    assert d.accepted() == [3] and d.state().lease == "another"


def test_claim_is_limited_by_what_may_be_in_flight(delivery):
    d = delivery(IN_FLIGHT=2)
    for number in range(5):
        d.subscribe(id=f"s{number}", path=f"/{number}")
        d.receiver.behave(f"/{number}", slow(0.1))
    d.happen()
    d.dispatcher.step()
    assert d.dispatcher.in_flight == 2
    d.pump()
    assert len(d.receiver.arrivals) == 5


def test_claim_takes_the_oldest_first_and_skips_what_is_not_due(delivery):
    d = delivery()
    keys = []
    for number, due_s in enumerate([-1, -3, None, 5, -2]):
        d.subscribe(id=f"s{number}")
        keys.append(d.state(f"s{number}").key)
        with d.database.write() as tx:
            tx.execute(update(subscription).where(subscription.c.key == keys[-1])
                       .values(due_at=None if due_s is None else NOW + timedelta(seconds=due_s)))
    with d.database.write() as tx:
        assert sorted(claims.claim(tx, "me", now=NOW, limit=2, lease_s=30)) == sorted([keys[1], keys[4]])
        assert claims.claim(tx, "me", now=NOW, limit=9, lease_s=30) == [keys[0]]
        assert claims.claim(tx, "me", now=NOW, limit=9, lease_s=30) == []


def test_claim_skips_row_locked_by_other(postgresql_database, receiver):
    d = Delivery(postgresql_database, receiver)
    d.subscribe()
    d.happen()
    with d.database.write() as first, d.database.write() as second:
        assert len(claims.claim(first, "one", now=NOW, limit=9, lease_s=30)) == 1
        assert claims.claim(second, "two", now=NOW, limit=9, lease_s=30) == []
    d.egress.close()


def test_held_tells_busy_from_lost(postgresql_database, receiver):
    d = Delivery(postgresql_database, receiver)
    for id in ("s0", "s1", "s2"):
        d.subscribe(id=id)
    d.happen()
    keys = [d.state(f"s{number}").key for number in range(3)]
    with d.database.write() as tx:
        claims.claim(tx, "me", now=NOW, limit=9, lease_s=30)
        claims.put_off(tx, [keys[2]], due_at=NOW)
    with d.database.write() as other, d.database.write() as tx:
        other.execute(update(subscription).where(subscription.c.key == keys[1]).values(active=True))
        leases, busy = claims.held(tx, "me", keys)
    assert (list(leases), busy) == ([keys[0]], {keys[1]})
    d.egress.close()


def test_busy_row_is_settled_later(postgresql_database, receiver):
    d = Delivery(postgresql_database, receiver)
    d.subscribe()
    d.happen(2)
    d.dispatcher.step()
    d.receiver.wait(1)
    with d.database.write() as other:
        other.execute(update(subscription).values(active=True))
        time.sleep(0.1)
        for _ in range(3):
            d.dispatcher.step()
        assert d.dispatcher.in_flight == 1 and d.accepted() == [0]
    d.pump()
    assert d.numbers() == [1, 2]
    d.egress.close()


def test_lease_of_dead_process_is_freed_at_once(delivery):
    d = delivery()
    d.subscribe()
    d.happen()
    token = subprocess.run([sys.executable, "-c", "from fhirsub.store.owner import owner_token; print(owner_token())"],
                           capture_output=True, text=True, check=True).stdout.strip()
    with d.database.write() as tx:
        assert claims.claim(tx, token, now=d.clock(), limit=9, lease_s=30)
    d.pump()
    assert d.numbers() == [1]


@pytest.mark.parametrize("token", ["elsewhere/1/1-1/abc", owner.owner_token(), "tests"])
def test_lease_of_living_or_unknown_process_is_kept_until_it_runs_out(delivery, token):
    d = delivery()
    d.subscribe()
    d.happen()
    with d.database.write() as tx:
        assert claims.claim(tx, token, now=d.clock(), limit=9, lease_s=30)
    d.pump()
    assert not d.receiver.arrivals
    d.clock.move(31)
    d.pump()
    assert d.numbers() == [1]


def test_lease_is_prolonged_while_a_channel_takes_long(delivery):
    d, done = delivery(SWEEP_S=0.01), threading.Event()
    d.channels["x-slow"] = type("Slow", (), {"send": lambda self, notification: done.wait(10) and None})()
    d.subscribe(kind="x-slow")
    d.happen()
    d.dispatcher.step()
    for _ in range(5):
        d.clock.move(20)
        time.sleep(0.02)
        d.dispatcher.step()
    assert d.state().due_at == d.clock() + timedelta(seconds=d.dispatcher.lease_s)
    done.set()
    d.pump()
    assert d.accepted() == [1]


# Too much, too late


def test_failing_subscription_with_too_much_waiting_is_switched_off(delivery):  # A3.7
    d = delivery(MAX_BACKLOG_EVENTS=3)
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen(3)
    d.pump()
    assert d.resource()["status"] == "error"
    d.happen(1)
    d.clock.move(6)
    d.pump()
    assert d.resource()["status"] == "off" and "4 events waiting" in d.resource()["error"]
    assert "$replay" in d.resource()["error"]


def test_failing_subscription_with_old_events_is_switched_off(delivery):
    d = delivery(RETRY_SCHEDULE_S="5 5 5 5", MAX_BACKLOG_DAYS=1)
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen()
    d.pump()
    d.clock.move(86401)
    d.pump()
    assert d.resource()["status"] == "off" and "more than 1 days" in d.resource()["error"]


def test_overdue_retries_are_spread_out_after_a_restart(delivery):  # A3.9
    d = delivery()
    for number in range(20):
        d.subscribe(id=f"s{number}", path=f"/{number}")
        d.receiver.behave(f"/{number}", status(500))
    d.happen()
    d.pump()
    d.subscribe("Observation?status=amended", id="fresh", path="/fresh")
    d.happen(1, status="amended")
    d.clock.move(3600)
    d.another().spread()
    due = [d.state(f"s{number}").due_at - d.clock() for number in range(20)]
    assert min(due) >= timedelta(0) and max(due) < timedelta(seconds=10) and len(set(due)) == 20
    assert max(due) - min(due) > timedelta(seconds=5)
    assert d.state("fresh").due_at < d.clock()  # what has not failed goes first
    assert d.state("s0").attempts == 1


def test_spreading_leaves_alone_what_is_held_or_has_just_come_due(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500))
    d.happen()
    d.pump()
    d.clock.move(8)
    before = d.state().due_at
    d.another().spread()
    assert d.state().due_at == before
    d.clock.move(3600)
    with d.database.write() as tx:
        tx.execute(update(subscription).values(lease="another", due_at=d.clock() - timedelta(seconds=60)))
    d.another().spread()
    assert d.state().due_at == d.clock() - timedelta(seconds=60)


def test_clock_that_was_set_back_stalls_nothing(delivery):  # A3.10
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(200))
    d.clock.move(10 * 365 * 86400)
    d.happen()
    d.pump()
    assert d.state().attempts == 1
    d.clock.move(-10 * 365 * 86400)
    d.pump(d.another())
    assert d.numbers() == [1, 1] and d.resource()["status"] == "active"


# Nothing is stranded


def test_event_that_comes_while_a_subscription_is_let_go_is_sent(postgresql_database, receiver):
    """Many rounds of the race: the matcher appends while the dispatcher finds nothing left."""
    d = Delivery(postgresql_database, receiver)
    d.dispatcher.now = real_time
    for number in range(5):
        d.subscribe(id=f"s{number}", path=f"/{number}")
    running = Running(d.dispatcher)
    for count in range(1, 101):
        d.happen()
        if count % 10 == 0:  # let it come to rest, without a sweep that could help
            assert len(d.receiver.wait(count * 5)) == count * 5
    running.stop()
    d.egress.close()
    assert [d.numbers(f"/{number}") for number in range(5)] == [list(range(1, 101))] * 5


def test_subscription_is_not_let_go_while_its_stream_grows(postgresql_database, receiver):
    from fhirsub.store.tables import stream
    d = Delivery(postgresql_database, receiver)
    d.subscribe()
    d.happen()
    d.dispatcher.step()
    d.receiver.wait(1)
    time.sleep(0.05)
    with d.database.write() as matcher:
        matcher.execute(select(stream).with_for_update()).all()
        d.dispatcher.step()
        assert d.state().due_at is not None and d.state().lease is None
    d.clock.move(1)
    d.pump()
    assert d.state().due_at is None
    d.egress.close()


# The loop


def test_hint_wakes_the_loop(delivery):
    d = delivery(SWEEP_S=30.0)
    d.subscribe()
    running = Running(d.dispatcher)
    time.sleep(0.3)
    written = time.monotonic()
    d.happen()
    assert d.receiver.wait(1)[0].at - written < 0.5
    running.stop()


def test_retry_comes_by_itself(delivery):
    d = delivery(RETRY_SCHEDULE_S="0.2 0.2", SWEEP_S=30.0)
    d.dispatcher.now, d.clock.now = real_time, real_time()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(500), status(200))
    running = Running(d.dispatcher)
    d.happen()
    assert len(d.receiver.wait(3)) == 3
    running.stop()


def test_idle_loop_does_nothing_between_sweeps(delivery, monkeypatch):
    d = delivery(SWEEP_S=30.0)
    d.subscribe()
    d.happen()
    running = Running(d.dispatcher)
    d.receiver.wait(1)
    time.sleep(0.3)
    used = []
    for name in ("read", "write"):
        monkeypatch.setattr(d.database, name, lambda: used.append(1))
    time.sleep(0.5)
    monkeypatch.undo()
    assert not used
    running.stop()


def test_stop_lets_what_is_under_way_finish_and_begins_nothing_new(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", slow(0.3))
    d.happen(3)
    running = Running(d.dispatcher)
    d.receiver.wait(1)
    running.stop()
    assert d.numbers() == [1] and d.accepted() == [1]
    assert d.state().lease is None and d.state().due_at is not None
    d.receiver.behave("/a", status(200))
    d.pump(d.another())
    assert d.numbers() == [1, 2, 3]


def test_stop_gives_back_what_hangs(delivery, monkeypatch):
    monkeypatch.setattr("fhirsub.delivery.dispatcher.DRAIN_S", 0.2)
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", hang())
    d.happen()
    running = Running(d.dispatcher)
    d.receiver.wait(1)
    running.stop()
    assert d.state().lease is None and d.state().due_at is not None and d.accepted() == [0]


def test_unreachable_database_delays_and_loses_nothing(delivery, monkeypatch):
    monkeypatch.setattr("fhirsub.delivery.dispatcher.PAUSE_AFTER_FAILURE_S", 0.05)
    d = delivery()
    d.subscribe()
    d.happen(3)
    d.receiver.behave("/a", slow(0.2), status(200))
    write, away = d.database.write, threading.Event()

    def unreliable():
        if away.is_set():
            raise StorageError("away")
        return write()
    monkeypatch.setattr(d.database, "write", unreliable)
    running = Running(d.dispatcher)
    d.receiver.wait(1)
    away.set()
    time.sleep(0.5)
    assert d.numbers() == [1]
    away.clear()
    d.receiver.wait(3)
    running.stop()
    assert d.numbers() == [1, 2, 3]
