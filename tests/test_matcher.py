import threading
from datetime import timedelta

import pytest
from pipeline import CODE, NOW, Pipeline, observation

from fhirsub.store import changes, versions
from fhirsub.store.tables import event, stream, stream_key
from fhirsub.subscriptions import index, lease


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


def test_matching_write_becomes_event_and_makes_subscription_due(pipeline):
    pipeline.subscribe(f"Observation?code={CODE}")
    pipeline.match()
    assert pipeline.state().due_at is None
    written = pipeline.write(observation())
    pipeline.write(observation("1975-2"))
    assert pipeline.match() == 2
    assert pipeline.events() == [(1, f"Observation/{written.id}/1")]
    assert pipeline.state().due_at == NOW


def test_write_before_the_subscription_never_notifies_it_even_in_one_batch(pipeline):
    pipeline.write(observation())
    pipeline.subscribe(f"Observation?code={CODE}")
    after = pipeline.write(observation())
    assert pipeline.match() == 3
    assert pipeline.events() == [(1, f"Observation/{after.id}/1")]


def test_update_is_matched_on_its_own_version(pipeline):
    pipeline.subscribe("Observation?status=final")
    written = pipeline.write(observation(id="o"))
    pipeline.write(observation(id="o", status="amended"))
    pipeline.write(observation(id="o"))
    pipeline.match()
    assert [name for _, name in pipeline.events()] == [f"Observation/{written.id}/1", f"Observation/{written.id}/3"]


def test_delete_is_no_event(pipeline):
    pipeline.subscribe("Observation")
    pipeline.write(observation(id="o"))
    pipeline.delete("Observation", "o")
    pipeline.match()
    assert [number for number, _ in pipeline.events()] == [1]


def test_equal_questions_share_one_stream_and_one_event(pipeline):
    pipeline.subscribe(f"Observation?code={CODE}&status=final", id="a")
    pipeline.subscribe(f"/Observation?status=final&code={CODE}", id="b")
    pipeline.write(observation())
    pipeline.match()
    assert pipeline.count(stream) == 1 and pipeline.count(event) == 1
    assert pipeline.events("a") == pipeline.events("b") != []


def test_several_streams_match_one_write(pipeline):
    for number, criteria in enumerate(["Observation", f"Observation?code={CODE}", "Observation?status=final,amended",
                                       "Observation?status:not=amended", "Observation?date:missing=true"]):
        pipeline.subscribe(criteria, id=f"s{number}")
    pipeline.subscribe("Observation?code=other", id="none")
    pipeline.write(observation())
    pipeline.match()
    assert [len(pipeline.events(f"s{number}")) for number in range(5)] == [1] * 5
    assert pipeline.events("none") == []


def test_events_are_numbered_without_gaps_over_batches(database):
    pipeline = Pipeline(database, MATCH_BATCH=7)
    pipeline.subscribe(f"Observation?code={CODE}")
    for _ in range(20):
        pipeline.write(observation())
    pipeline.match()
    assert [number for number, _ in pipeline.events()] == list(range(1, 21))


def test_off_is_silent_and_requested_again_starts_at_the_next_write(pipeline):
    pipeline.subscribe("Observation")
    pipeline.write(observation())
    pipeline.subscribe("Observation", status="off")
    pipeline.write(observation())
    pipeline.match()
    assert pipeline.events() == [] and not pipeline.state().active
    assert pipeline.count(stream_key) == 0
    pipeline.subscribe("Observation")
    again = pipeline.write(observation())
    pipeline.match()
    assert pipeline.events() == [(2, f"Observation/{again.id}/1")]  # number 1 waits for an explicit replay


def test_new_criteria_deliver_the_old_backlog_first(pipeline):
    pipeline.subscribe("Observation?status=final")
    old = pipeline.write(observation())
    pipeline.subscribe("Observation?status=amended")
    pipeline.write(observation())
    new = pipeline.write(observation(status="amended"))
    pipeline.match()
    assert pipeline.events() == [(1, f"Observation/{old.id}/1"), (2, f"Observation/{new.id}/1")]


def test_new_criteria_in_the_batch_of_a_match_leave_it_due(pipeline):
    pipeline.subscribe("Observation?status=final")
    pipeline.match()
    pipeline.write(observation())
    pipeline.subscribe("Observation?status=amended")
    pipeline.match()
    assert len(pipeline.events()) == 1 and pipeline.state().due_at == NOW


def test_new_endpoint_keeps_the_cursor(pipeline):
    pipeline.subscribe("Observation")
    pipeline.write(observation())
    pipeline.subscribe("Observation", channel={"type": "rest-hook", "endpoint": "http://127.0.0.1:9/other"})
    pipeline.write(observation())
    pipeline.match()
    assert [number for number, _ in pipeline.events()] == [1, 2]


def test_deleted_subscription_is_silent_and_its_stream_leaves_the_index(pipeline):
    pipeline.subscribe("Observation")
    pipeline.write(observation())
    pipeline.match()
    pipeline.delete("Subscription", "sub")
    pipeline.write(observation())
    pipeline.match()
    assert pipeline.events() == [] and pipeline.count(stream_key) == 0
    assert not pipeline.state().active


def test_websocket_subscription_is_never_due(pipeline):
    pipeline.subscribe("Observation", kind="websocket")
    pipeline.write(observation())
    pipeline.match()
    assert len(pipeline.events()) == 1 and pipeline.state().due_at is None


def test_waiting_retry_keeps_its_time(pipeline, database):
    pipeline.subscribe("Observation")
    pipeline.write(observation())
    pipeline.match()
    pipeline.clock.move(60)
    pipeline.write(observation())
    pipeline.match()
    assert pipeline.state().due_at == NOW


def test_subscription_may_ask_for_subscriptions(pipeline):
    pipeline.subscribe("Subscription?status=active", id="watcher")
    made = pipeline.subscribe("Patient", id="other")
    pipeline.match()
    assert pipeline.events("watcher") == [(1, f"Subscription/{made.id}/1")]


def test_failing_test_of_one_stream_stops_no_other(pipeline, monkeypatch):
    pipeline.subscribe("Observation?status=final", id="broken")
    pipeline.subscribe(f"Observation?code={CODE}", id="fine")
    pipeline.match()
    read = index.question.read

    class Broken:
        def test(self, written):
            raise ZeroDivisionError

    monkeypatch.setattr(index.question, "read", lambda text: Broken() if "status" in text else read(text))
    pipeline.write(observation())
    pipeline.match()
    assert len(pipeline.events("fine")) == 1
    with pipeline.database.read() as tx:
        broken = versions.current(tx, "Subscription", "broken").resource
    assert broken["status"] == "error" and "could not be evaluated" in broken["error"]


def test_criteria_that_cannot_be_evaluated_any_more_are_told(pipeline):
    pipeline.subscribe("Observation?nonsense=1")
    pipeline.subscribe("Observation", id="fine")
    pipeline.match()
    with pipeline.database.read() as tx:
        told = versions.current(tx, "Subscription", "sub").resource
    assert told["status"] == "error" and "nonsense" in told["error"]
    assert pipeline.state("fine").active


def test_killed_batch_leaves_nothing_and_is_matched_again(pipeline, monkeypatch):
    pipeline.subscribe("Observation")
    pipeline.match()
    pipeline.write(observation())
    monkeypatch.setattr(changes, "mark", lambda tx, seqs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        pipeline.matcher.step()
    assert pipeline.count(event) == 0
    monkeypatch.undo()
    assert pipeline.match() == 1 and len(pipeline.events()) == 1


def test_late_commit_is_matched_too(pipeline, postgresql_database):
    """Numbered first, committed last: reading "seq > last seen" would skip it for ever."""
    if pipeline.database.dialect != "postgresql":
        pytest.skip("SQLite has one writer at a time")
    pipeline.subscribe("Observation")
    pipeline.match()
    with pipeline.database.write() as tx:
        versions.write(tx, observation(id="late"), now=NOW)
        pipeline.write(observation(id="early"))
        pipeline.match()
        assert [name for _, name in pipeline.events()] == ["Observation/early/1"]
    pipeline.match()
    assert [name for _, name in pipeline.events()] == ["Observation/early/1", "Observation/late/1"]


def test_many_matchers_match_each_change_once(database):
    pipelines = [Pipeline(database, MATCH_BATCH=3) for _ in range(4)]
    pipelines[0].subscribe("Observation")
    for _ in range(40):
        pipelines[0].write(observation())

    def work(pipeline):
        while pending(database):
            pipeline.clock.move(lease_s())
            pipeline.matcher.step()

    threads = [threading.Thread(target=work, args=(pipeline,)) for pipeline in pipelines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [number for number, _ in pipelines[0].events()] == list(range(1, 41))


def lease_s():
    from fhirsub.subscriptions.matcher import LEASE_S
    return LEASE_S


def pending(database):
    with database.read() as tx:
        return changes.pending(tx, 1)


def test_lease_is_taken_by_one_until_it_ends(database):
    def take(owner, after=0):
        with database.write() as tx:
            return lease.take(tx, "matcher", owner, now=NOW + timedelta(seconds=after), lease_s=3)

    assert take("a") and take("a", 1) and not take("b", 2)
    assert take("b", 4.5) and not take("a", 5)
    with database.write() as tx:
        lease.release(tx, "matcher", "b", now=NOW + timedelta(seconds=5))
    assert take("a", 5)
