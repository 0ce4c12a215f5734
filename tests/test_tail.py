"""The tail: what listeners are told of the event log, on both databases."""
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy import select, update

from event_log import accepted, follow, happen, subscribe
from fhirsub.config import Config
from fhirsub.delivery.readers import Reader
from fhirsub.delivery.tail import GRACE_S, Tail
from fhirsub.store.tables import cursor, stream, subscription


class Listening:
    """Notes what it is told, as a socket would be."""

    def __init__(self, tail):
        self.tail, self.told = tail, []

    def join(self, id):
        reader = Reader(id, self)
        self.tail.join(reader)
        return reader

    def heard(self):
        told, self.told = self.told, []
        return told

    def bound(self, reader, missed):
        self.told.append(("bound", reader.subscription_id, missed))

    def refused(self, reader):
        self.told.append(("refused", reader.subscription_id))

    def news(self, reader, count):
        self.told.append(("news", reader.subscription_id, count))

    def ended(self, reader):
        self.told.append(("ended", reader.subscription_id))


class Clock:
    def __init__(self):
        self.time = datetime(2024, 1, 1, tzinfo=timezone.utc)

    def __call__(self):
        return self.time

    def pass_s(self, seconds):
        self.time += timedelta(seconds=seconds)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tail(database, clock):
    return Tail(database, Config({}, {}), clock)


@pytest.fixture
def listening(tail):
    return Listening(tail)


@pytest.fixture
def tell(database):
    """Write to the log in a transaction of its own."""
    def run(function, *arguments, **named):
        with database.write() as tx:
            return function(tx, *arguments, **named)
    return run


def test_step_binds_and_then_tells_of_each_event(tail, listening, tell):
    tell(subscribe, "a", head=7)
    listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", False)]
    tell(happen, "a")
    tail.step()
    tell(happen, "a", 3)
    tail.step()
    tail.step()
    assert listening.heard() == [("news", "a", 1), ("news", "a", 3)]


def test_step_says_that_events_were_missed_when_cursor_is_behind(tail, listening, tell):
    tell(subscribe, "a", head=7, accepted=5)
    listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", True)]


def test_step_tells_every_reader_of_a_subscription_and_none_of_another(tail, listening, tell):
    other = Listening(tail)
    for id in "ab":
        tell(subscribe, id)
        listening.join(id)
    other.join("b")
    tail.step()
    listening.heard(), other.heard()
    tell(happen, "a")
    tail.step()
    assert (listening.heard(), other.heard()) == ([("news", "a", 1)], [])
    tell(happen, "b")
    tail.step()
    assert listening.heard() == other.heard() == [("news", "b", 1)]


def test_step_tells_all_that_share_a_stream_also_after_one_has_left(tail, listening, tell, clock):
    for id in "abc":
        tell(subscribe, id, question="Observation")
    readers = [listening.join(id) for id in "abc"]
    tail.step()
    tell(happen, "a")
    tail.leave(readers[1])
    tail.step()
    clock.pass_s(5)
    tail.step()
    tell(happen, "a")
    tail.step()
    assert sorted(listening.heard()[3:]) == 2 * [("news", "a", 1)] + 2 * [("news", "c", 1)]


def test_leave_ends_the_calls(tail, listening, tell):
    tell(subscribe, "a")
    reader = listening.join("a")
    tail.step()
    tail.leave(reader)
    tail.leave(reader)
    tell(happen, "a")
    tail.step()
    assert listening.heard() == [("bound", "a", False)]


@pytest.mark.parametrize("state", [None, {"active": False}, {"push": True},
                                   {"ends_at": datetime(2023, 12, 31, tzinfo=timezone.utc)}])
def test_step_refuses_alike_and_after_the_same_time(tail, listening, tell, clock, state):
    if state is not None:
        tell(subscribe, "a", **state)
    listening.join("a")
    tail.step()
    clock.pass_s(GRACE_S - 0.01)
    tail.step()
    assert listening.heard() == []
    clock.pass_s(0.01)
    tail.step()
    assert listening.heard() == [("refused", "a")]


def test_step_binds_a_subscription_that_the_matcher_meets_after_the_bind(tail, listening, tell, clock):
    listening.join("a")
    assert tail.step() < 0.1
    tell(subscribe, "a")
    clock.pass_s(0.5)
    tail.step()
    assert listening.heard() == [("bound", "a", False)]


@pytest.mark.parametrize("values", [{"active": False}, {"push": True},
                                    {"ends_at": datetime(2024, 1, 1, tzinfo=timezone.utc)}])
def test_step_ends_what_is_switched_off_and_never_tells_of_its_last_events(tail, listening, tell, values):
    tell(subscribe, "a")
    listening.join("a")
    tail.step()
    listening.heard()
    tell(happen, "a")
    tell(lambda tx: tx.execute(update(subscription).values(values)))
    tail.step()
    tail.step()
    assert listening.heard() == [("ended", "a")]


def test_step_counts_on_over_a_change_of_the_question(tail, listening, tell):
    key = tell(subscribe, "a", head=3)
    listening.join("a")
    tail.step()
    listening.heard()
    tell(happen, "a")
    tell(lambda tx: tx.execute(update(cursor).values(until=select(stream.c.head).scalar_subquery())))
    tell(follow, key, "Observation?code=b", head=0, numbered=4)
    tell(happen, "a", 2)
    tail.step()
    assert listening.heard() == [("news", "a", 3)]


def test_pinged_moves_the_cursor_forward_only(tail, listening, tell, clock):
    tell(subscribe, "a", head=7, accepted=5)
    reader = listening.join("a")
    tail.step()
    tail.pinged(reader, 7)
    tail.pinged(reader, 6)
    clock.pass_s(1)
    tail.step()
    assert tell(accepted, "a") == 7
    tail.pinged(reader, 6)
    clock.pass_s(1)
    tail.step()
    assert tell(accepted, "a") == 7


def test_pinged_leaves_a_closed_cursor_at_its_end(tail, listening, tell, clock):
    key = tell(subscribe, "a", head=3, accepted=1)
    tell(lambda tx: tx.execute(update(cursor).values(until=3)))
    tell(follow, key, "Observation?code=b", head=5, accepted=0, numbered=3)
    reader = listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", True)] and reader.number == 8
    tail.pinged(reader, 8)
    clock.pass_s(1)
    tail.step()
    assert tell(lambda tx: tx.execute(select(cursor.c.accepted).order_by(cursor.c.key)).scalars().all()) == [3, 5]


def test_bind_again_is_told_nothing_that_was_pinged_just_now(tail, listening, tell):
    tell(subscribe, "a", head=1, accepted=0)
    reader = listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", True)]
    tail.pinged(reader, 1)
    listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", False)]


def test_parked_cursor_is_neither_counted_nor_moved(tail, listening, tell, clock):
    key = tell(subscribe, "a", head=9, accepted=2)
    tell(lambda tx: tx.execute(update(cursor).values(parked=True, until=9)))
    tell(follow, key, "Observation?code=b", numbered=9)
    reader = listening.join("a")
    tail.step()
    assert listening.heard() == [("bound", "a", False)]
    tail.pinged(reader, 9)
    clock.pass_s(1)
    tail.step()
    assert tell(lambda tx: tx.execute(select(cursor.c.accepted).order_by(cursor.c.key)).scalars().all()) == [2, 0]


def test_step_sleeps_long_when_nobody_is_bound(tail, listening, tell):
    assert tail.step() > 60
    tell(subscribe, "a")
    reader = listening.join("a")
    assert tail.step() <= 1
    tail.leave(reader)
    assert tail.step() > 60
