"""Streams: their events are appended, and their subscriptions made due, by as many statements however many they are."""
from __future__ import annotations

import pytest
from pipeline import NOW, Pipeline, observation
from sqlalchemy import event as events, insert, select

from fhirsub.store.tables import cursor, event, stream, subscription
from fhirsub.subscriptions import streams

MANY = 3000


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


@pytest.fixture
def told(database):
    """The statements that are executed, with their parameters."""
    told = []

    def tell(connection, cursor, statement, parameters, *more):
        told.append((statement, parameters))
    events.listen(database.engine, "before_cursor_execute", tell)
    yield told
    events.remove(database.engine, "before_cursor_execute", tell)


def crowd(tx, *, followed):
    """``MANY`` idle subscriptions; ``followed(number)`` is the stream of each."""
    tx.execute(insert(stream), [{"id": number, "question": f"{number}", "question_hash": f"{number}"}
                                for number in range(1, MANY + 1)])
    tx.execute(insert(subscription), [{"id": f"s{number}", "active": True, "push": True, "stream_id": followed(number)}
                                      for number in range(MANY)])


def plan(tx, statement, parameters):
    if tx.dialect.name == "sqlite":
        return [row.detail for row in tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    return tx.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars().all()


@pytest.mark.parametrize("analyzed", [False, True])
def test_make_due_finds_the_idle_subscriptions_by_their_index(database, told, analyzed):
    with database.write() as tx:
        crowd(tx, followed=lambda number: max(1, number - MANY // 2))  # half of them follow one
        if analyzed:
            tx.exec_driver_sql("ANALYZE fhirsub_subscription")
        assert streams.make_due(tx, {2, 3, 4}, now=NOW) == 3
        steps = plan(tx, *told[-1])
    assert any("ix_fhirsub_subscription_idle" in step for step in steps), steps


def test_make_due_leaves_what_is_due_off_or_a_websocket_alone(database):
    with database.write() as tx:
        tx.execute(insert(stream), [{"id": one, "question": f"{one}", "question_hash": f"{one}"} for one in (1, 2)])
        rows = {"idle": {}, "due": {"due_at": NOW}, "off": {"active": False}, "socket": {"push": False},
                "elsewhere": {"stream_id": 2}}
        for id, row in rows.items():
            tx.execute(insert(subscription).values({"id": id, "active": True, "push": True, "stream_id": 1} | row))
        assert streams.make_due(tx, {1}, now=NOW) == 1
        due = select(subscription.c.id).where(subscription.c.due_at.is_not(None)).order_by(subscription.c.id)
        assert tx.execute(due).scalars().all() == ["due", "idle"]


def test_subscription_remembers_the_stream_that_its_open_cursor_follows(pipeline):
    story = [("1", "active", 1), ("2", "active", 2), ("2", "active", 2), ("2", "off", None), ("1", "active", 1),
             ("1&nonsense=1", "active", None), ("1", "active", 1), (None, None, None), ("2", "active", 2)]
    for code, status, followed in story:
        if code is None:
            pipeline.delete("Subscription", "a")
        else:
            pipeline.subscribe(f"Observation?code={code}", id="a", status=status)
        pipeline.match()
        with pipeline.database.read() as tx:
            opened = tx.execute(select(cursor.c.stream_id).where(cursor.c.until.is_(None))).scalars().all()
        assert pipeline.state("a").stream_id == followed and opened == [followed] * (followed is not None)


def test_suspended_subscription_is_due_for_what_came_before_in_the_same_batch(pipeline):
    pipeline.subscribe("Observation")
    pipeline.match()
    pipeline.write(observation())
    pipeline.subscribe("Observation?nonsense=1")
    pipeline.match()
    assert pipeline.state().stream_id is None and pipeline.state().due_at == NOW


def test_subscription_with_all_accepted_stays_idle_when_it_asks_anew(pipeline):
    pipeline.subscribe("Observation?code=1")
    pipeline.match()
    pipeline.subscribe("Observation?code=2")
    pipeline.match()
    assert pipeline.state().due_at is None


def test_events_of_a_batch_are_numbered_in_each_stream_by_itself(pipeline):
    for code in "abc":
        pipeline.subscribe(f"Observation?code={code}", id=code)
    pipeline.subscribe("Observation", id="all")
    pipeline.match()
    for round in ("first", "second"):
        for number, code in enumerate("abacab"):
            pipeline.write(observation(code, id=f"{round}{number}"))
        pipeline.match()
    assert pipeline.events("a") == [(number, f"Observation/{id}/1") for number, id in enumerate(
        ["first0", "first2", "first4", "second0", "second2", "second4"], 1)]
    assert [number for number, _ in pipeline.events("b")] == [1, 2, 3, 4]
    assert pipeline.names("c") == ["Observation/first3/1", "Observation/second3/1"]
    assert [number for number, _ in pipeline.events("all")] == list(range(1, 13))
    assert sorted(pipeline.heads().values()) == [2, 4, 6, 12]


def test_many_matches_take_as_many_statements_as_few(pipeline, told):
    def statements(count):
        pipeline.write(observation(subject={"reference": f"Patient/{count}"}))
        told.clear()
        pipeline.match()
        return len(told)

    for count in (2, 200):
        for number in range(count):
            pipeline.subscribe(f"Observation?patient={count}&code:not={number}", id=f"s{count}-{number}")
    pipeline.match()
    assert statements(2) == statements(200) and pipeline.count(event) == 202
