"""What is old is forgotten, and never what somebody has still to be told."""
import threading
import time

import pytest
from delivering import delivery, receiver  # noqa: F401
from fhir_client import assert_refused
from receiver import status
from sqlalchemy import select
from test_replay import ask, delivered

from fhirsub.delivery import retention
from fhirsub.delivery.retention import Retention
from fhirsub.delivery.standing import standings
from fhirsub.store.tables import attempt, change, cursor, event
from fhirsub.subscriptions import lease

DAY_S = 86400


def prune(d, after_days=0):
    """A whole pass, so many days later; returns how many steps it took."""
    d.clock.move(after_days * DAY_S)
    pruning = Retention(d.database, d.config, now=d.clock)
    steps = 1
    while pruning.step():
        steps += 1
    return steps


def numbers(d):
    """``[(stream, number), …]`` of the events that are kept."""
    with d.database.read() as tx:
        return [tuple(row) for row in tx.execute(select(event.c.stream_id, event.c.number).order_by(
            event.c.stream_id, event.c.number))]


def kept(d):
    """The resources whose changes are kept, other than Subscriptions."""
    others = select(change.c.id).where(change.c.type != "Subscription").order_by(change.c.seq)
    with d.database.read() as tx:
        return tx.execute(others).scalars().all()


def test_delivered_events_and_their_changes_are_forgotten_but_for_the_newest(delivery):
    d = delivery()
    d.subscribe()
    old = d.happen(3)
    d.pump()
    d.clock.move(31 * DAY_S)
    new = d.happen(2)
    d.pump()
    prune(d)
    assert numbers(d) == [(1, 4), (1, 5)] and kept(d) == [written.id for written in new]
    prune(d, after_days=31)
    assert numbers(d) == [(1, 5)] and old[0].id not in kept(d)
    d.happen()
    d.pump()
    assert d.numbers() == [1, 2, 3, 4, 5, 6]


def test_young_events_are_kept(delivery):
    d = delivered(delivery, 3)
    prune(d, after_days=29)
    assert len(numbers(d)) == 3 and len(kept(d)) == 3


def test_changes_that_nobody_asked_for_are_forgotten_once_they_are_matched(delivery):
    d = delivery()
    d.happen(3)
    d.write({"resourceType": "Patient", "id": "waits"})
    prune(d, after_days=31)
    assert kept(d) == ["waits"]


def test_undelivered_events_are_kept_however_old(delivery):
    d = delivery(MAX_BACKLOG_DAYS=9999)
    d.subscribe()
    d.subscribe(id="down", path="/down")
    d.receiver.behave("/down", status(200), status(500))
    d.happen(3)
    d.pump()
    prune(d, after_days=99)
    assert numbers(d) == [(1, 2), (1, 3)]
    d.receiver.behave("/down", status(200))
    d.pump()
    assert d.numbers("/down") == [1, 2, 2, 3]


def test_events_of_a_closed_cursor_are_kept_until_it_is_worked_off(delivery):
    d = delivery()
    d.subscribe()
    d.happen(3)
    d.rewrite(criteria="Observation?status=amended")
    d.match()
    prune(d, after_days=31)
    d.pump()
    assert d.numbers() == [1, 2, 3]
    prune(d)
    d.happen(1, status="amended")
    d.pump()
    assert d.numbers() == [1, 2, 3, 4]


def test_events_that_are_replayed_are_kept(delivery):
    d = delivered(delivery, 5)
    d.clock.move(29 * DAY_S)
    assert ask(d, from_=2).status_code == 202
    prune(d, after_days=2)
    assert numbers(d) == [(1, 2), (1, 3), (1, 4), (1, 5)]
    d.pump()
    assert d.numbers() == [2, 3, 4, 5]


def test_parked_events_are_forgotten(delivery):
    d = delivery()
    d.subscribe()
    d.happen(3)
    d.rewrite(status="off")
    d.match()
    d.clock.move(31 * DAY_S)
    d.rewrite(status="active")
    d.match()
    prune(d)
    assert numbers(d) == [(1, 3)]
    assert ask(d, parked=True).resource["parameter"][0]["valueUnsignedInt"] == 1
    d.pump()
    assert d.numbers() == [3]


def test_websocket_that_was_away_is_still_told_that_something_happened(delivery):
    d = delivery()
    d.subscribe(kind="websocket")
    d.happen(3)
    prune(d, after_days=31)
    assert numbers(d) == [(1, 3)]
    with d.database.read() as tx:
        assert standings(tx, ["sub"], now=d.clock())["sub"].behind
    d.rewrite(channel={"type": "rest-hook", "endpoint": d.receiver.url("/a")})
    d.match()
    d.happen()
    d.pump()
    assert d.numbers() == [3, 4]


def test_old_cursors_are_forgotten_with_their_events(delivery):
    d = delivery()
    d.subscribe("Observation?status=final")
    d.subscribe("Observation?status=final", id="other", path="/other")
    d.happen(2)
    d.pump()
    d.rewrite(criteria="Observation?status=amended")
    d.match()
    assert d.count(cursor) == 3
    d.happen(1)
    d.pump()
    prune(d, after_days=31)
    assert d.count(cursor) == 2
    assert_refused(ask(d, from_=1), 422, "not kept any more")
    assert_refused(ask(d, until=d.clock()), 422, "not kept any more")
    assert ask(d, from_=3).status_code == 202


def test_attempts_are_forgotten(delivery):
    d = delivered(delivery, 2)
    d.clock.move(13 * DAY_S)
    d.happen(1)
    d.pump()
    prune(d)
    assert d.count(attempt) == 3
    prune(d, after_days=2)
    assert d.count(attempt) == 1


def test_nothing_is_forgotten_when_the_settings_say_so(delivery):
    d = delivered(delivery, 2, EVENT_DAYS=0, ATTEMPT_DAYS=0)
    prune(d, after_days=9999)
    assert len(numbers(d)) == 2 and d.count(attempt) == 2


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_pass_goes_in_small_steps(delivery, monkeypatch, batch):
    d = delivery(ATTEMPT_DAYS=0)
    d.subscribe("Observation?status=final")
    d.subscribe("Observation", id="all", path="/all")
    d.happen(4)
    d.pump()
    d.clock.move(31 * DAY_S)
    for name, limited in statements(batch).items():
        monkeypatch.setattr(retention, name, limited)
    monkeypatch.setattr(retention, "BATCH", batch)
    monkeypatch.setattr(retention, "STREAMS", batch)
    assert prune(d) > 6 / batch
    assert numbers(d) == [(1, 4), (2, 4)] and len(kept(d)) == 1


def statements(batch):
    return {"_STREAMS": retention._STREAMS.limit(batch), "_CHANGES": retention._CHANGES.limit(batch)}


def test_one_process_prunes_at_a_time(delivery):
    d = delivered(delivery, 3, EVENT_DAYS=0)
    d.clock.move(31 * DAY_S)
    with d.database.write() as tx:
        lease.take(tx, "retention", "another", now=d.clock(), lease_s=retention.LEASE_S)
    prune(d)
    assert d.count(attempt) == 3
    d.clock.move(61)
    prune(d)
    assert d.count(attempt) == 0


def test_pruning_runs_beside_the_rest_and_stops(delivery):
    d = delivered(delivery, 3)
    d.clock.move(31 * DAY_S)
    pruning = Retention(d.database, d.config, now=d.clock)
    thread = threading.Thread(target=pruning.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while d.count(attempt) + d.count(event) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    pruning.stop()
    thread.join(30)
    assert not thread.is_alive() and numbers(d) == [(1, 3)]
