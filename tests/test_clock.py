"""A clock that is set back by an hour, as long as Retry-After may ask for: nothing waits for it. Reliability F18."""
from datetime import timedelta

import pytest
from delivering import delivery, receiver  # noqa: F401
from pipeline import NOW, Pipeline
from receiver import hang, status
from sqlalchemy import select
from test_ordering import channel, depart

from fhirsub.delivery import claims
from fhirsub.delivery.retention import Retention
from fhirsub.store.tables import lease

HOUR_S = 3600
ASKED = status(429, [("Retry-After", "3000")])


def set_back(d, seconds=HOUR_S):
    d.clock.move(-seconds)
    sweep(d.dispatcher)


def sweep(dispatcher):
    dispatcher._sweep_at = 0.0  # it is time for one
    dispatcher.step()


def failed(delivery, count=1, behaviour=status(500)):
    """A Delivery with as many subscriptions that wait for their second attempt."""
    d = delivery()
    for number in range(count):
        d.receiver.behave(f"/{number}", behaviour, status(200))
        d.subscribe(id=f"s{number}", path=f"/{number}")
    d.happen()
    d.pump()
    assert {d.state(f"s{number}").attempts for number in range(count)} == {1}
    return d


def pauses_s(d, count):
    return [(d.state(f"s{number}").due_at - d.clock()).total_seconds() for number in range(count)]


def test_waiting_retries_come_within_their_pause(delivery):
    d = failed(delivery, 20)
    set_back(d)
    assert 0 <= min(pauses_s(d, 20)) and max(pauses_s(d, 20)) <= 5 and len(set(pauses_s(d, 20))) == 20
    d.clock.move(6)
    d.pump()
    assert all(d.numbers(f"/{number}") == [1, 1] for number in range(20))


def test_several_dispatchers_pull_back_once(delivery):
    d = failed(delivery)
    other = d.another()
    set_back(d)
    before = d.state("s0").due_at
    d.clock.move(1)
    sweep(other)
    assert d.state("s0").due_at == before


def test_clock_that_was_not_set_back_changes_no_pause(delivery):
    d = failed(delivery, behaviour=ASKED)
    before = d.state("s0").due_at
    d.clock.move(HOUR_S / 2)
    set_back(d, 20)  # as a clock that is kept in time may be
    assert d.state("s0").due_at == before > d.clock() + timedelta(seconds=300)
    assert len(d.receiver.at("/0")) == 1


def test_pause_that_the_floor_prolongs_is_not_taken_for_one_from_before_a_setting_back(delivery):
    d = delivery(RETRY_FLOOR_S=2.0 * HOUR_S)
    d.receiver.behave("/a", status(503))
    d.subscribe()
    d.happen()
    d.pump()
    sweep(d.dispatcher)
    assert d.state().due_at == d.clock() + timedelta(hours=2)


def test_clock_set_forward_lets_a_retry_come_early(delivery):
    d = failed(delivery)
    d.clock.move(HOUR_S)
    d.pump()
    assert d.numbers("/0") == [1, 1]


def test_pulling_back_is_tried_again_when_the_database_was_away(delivery, monkeypatch):
    d = failed(delivery)
    with monkeypatch.context() as patch:
        patch.setattr(claims, "shorten_leases", lambda tx, **_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            set_back(d)
    sweep(d.dispatcher)
    assert max(pauses_s(d, 1)) <= 5


def leased_elsewhere(delivery):
    """A Delivery whose subscription is leased to a dispatcher that is not here, with an event to send."""
    d = delivery()
    d.subscribe()
    d.happen()
    with d.database.write() as tx:
        assert claims.claim(tx, "elsewhere/1/1-1/abc", now=d.clock(), limit=9, lease_s=30)
    return d


def test_lease_of_a_dispatcher_elsewhere_that_died_ends_in_time(delivery):
    d = leased_elsewhere(delivery)
    d.pump()
    set_back(d)
    d.clock.move(d.dispatcher.lease_s)
    d.pump()
    assert d.numbers() == [1]


def test_lease_from_before_a_restart_and_an_hour_ahead_ends_in_time(delivery):
    d = leased_elsewhere(delivery)
    d.clock.move(-HOUR_S)
    started = d.another()
    started.spread()
    d.clock.move(started.lease_s)
    d.pump(started)
    assert d.numbers() == [1]


def test_lease_of_what_is_under_way_stays_its_own(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", hang(1), status(200))
    d.happen()
    d.dispatcher.step()
    set_back(d)
    other = d.another()
    other.hint()
    other.step()
    assert (d.state().lease, other.in_flight) == (d.dispatcher.owner, 0)
    assert d.state().due_at == d.clock() + timedelta(seconds=d.dispatcher.lease_s)


def test_failure_beside_others_under_way_is_tried_again_in_time(delivery):
    d = delivery()
    d.subscribe(channel=channel(d))
    d.receiver.behave("/a", status(500), hang(1), status(200))
    d.happen(3)
    depart(d, 3)
    while not d.dispatcher._flights.grounded:
        d.dispatcher._wake.wait(0.01)
        d.dispatcher.step()
    set_back(d)
    assert set(d.dispatcher._flights.grounded.values()) == {d.clock()}


@pytest.mark.parametrize("name, work", [
    ("matcher", lambda p: p.matcher), ("retention", lambda p: Retention(p.database, p.config, now=p.clock))])
def test_lease_an_hour_ahead_of_one_that_died_elsewhere_is_taken(database, name, work):
    died, here = work(Pipeline(database)), Pipeline(database)
    died.owner = "elsewhere/1/1-1/abc"
    died.step()
    here.clock.move(-HOUR_S)
    living = work(here)
    living.step()
    assert holder(database, name) == (living.owner, True)


def test_lease_of_a_living_matcher_stays_its_own_and_is_renewed(database):
    p, other = Pipeline(database), Pipeline(database)
    p.match()
    p.clock.move(-HOUR_S)
    p.match()
    other.clock.now = p.clock.now
    other.match()
    assert holder(database, "matcher") == (p.matcher.owner, True)


def holder(database, name):
    """``(owner, whether that is until within a minute of the time it is)`` of a lease."""
    with database.read() as tx:
        row = tx.execute(select(lease).where(lease.c.name == name)).one()
    return row.owner, row.expires_at <= NOW - timedelta(hours=1) + timedelta(minutes=1)
