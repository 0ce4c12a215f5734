"""The Subscriptions of an EventDefinition that changes ask again in several batches, at its one place in the log."""
from __future__ import annotations

import pytest
from pipeline import Pipeline
from sqlalchemy import update
from topics import encounter, trigger

from fhirsub.store import versions
from fhirsub.store.tables import change, renewal
from fhirsub.subscriptions import renewals, switch
from fhirsub.subscriptions.matcher import Matcher

ARRIVED = trigger(expression="status = 'arrived'")
MODIFIED = trigger(type="data-modified", expression="status = 'arrived'")
IDS = [f"s{number}" for number in range(5)]


@pytest.fixture
def pipeline(database, monkeypatch):
    """Five Subscriptions to one EventDefinition, of which two ask again in a batch."""
    monkeypatch.setattr(renewals, "SLICE", 2)
    made = Pipeline(database)
    made.define("admit", ARRIVED)
    for id in IDS:
        made.ask("Encounter", ["admit"], id=id)
    made.match()
    return made


def standing(pipeline):
    """``[(status, version), …]`` of the five."""
    with pipeline.database.read() as tx:
        stored = versions.current_of(tx, "Subscription", IDS)
    return [(stored[id].resource["status"], stored[id].version_id) for id in IDS]


def test_nothing_is_matched_before_all_have_asked_again(pipeline):
    pipeline.write(encounter("arrived", id="before"))
    pipeline.define("admit", MODIFIED)
    pipeline.write(encounter("arrived", id="created"))
    pipeline.write(encounter("arrived", id="before"))
    assert pipeline.matcher.step() == 1 and pipeline.count(renewal) == 3    # the write before it
    assert pipeline.matcher.step() == 1 and pipeline.count(renewal) == 1    # a part of it
    assert all(pipeline.names(id) == ["Encounter/before/1"] for id in IDS)
    pipeline.match()
    assert pipeline.count(renewal) == 0
    assert all(pipeline.names(id) == ["Encounter/before/1", "Encounter/before/2"] for id in IDS)


def test_change_in_several_batches_is_one_event(pipeline):
    pipeline.subscribe("EventDefinition", id="watcher")
    pipeline.define("admit", ARRIVED, status="retired")
    pipeline.match()
    assert pipeline.names("watcher") == ["EventDefinition/admit/2"]
    assert standing(pipeline) == [("error", 2)] * 5


def test_change_whose_last_batch_is_full_is_one_event(pipeline):
    pipeline.delete("Subscription", "s4")
    pipeline.subscribe("EventDefinition", id="watcher")
    pipeline.define("admit", ARRIVED, status="retired")
    pipeline.match()
    assert pipeline.names("watcher") == ["EventDefinition/admit/2"]


def test_killed_matcher_leaves_to_the_next_who_has_still_to_ask(pipeline, monkeypatch):
    pipeline.define("admit", ARRIVED, status="retired")
    asked, renew = [], switch.renew

    def kill(tx, standing, *find, **more):
        asked.append(standing.id)
        return 1 / 0 if len(asked) == 4 else renew(tx, standing, *find, **more)

    monkeypatch.setattr(switch, "renew", kill)
    with pytest.raises(ZeroDivisionError):
        pipeline.match()
    assert pipeline.count(renewal) == 3 and [status for status, _ in standing(pipeline)].count("error") == 2
    pipeline.clock.move(60)
    pipeline.matcher = Matcher(pipeline.database, pipeline.config, now=pipeline.clock)
    pipeline.match()
    assert asked == ["s0", "s1", "s2", "s3", "s2", "s3", "s4"] and standing(pipeline) == [("error", 2)] * 5
    pipeline.define("admit", ARRIVED)
    pipeline.write(encounter("arrived", id="back"))
    pipeline.match()
    assert standing(pipeline) == [("active", 3)] * 5 and pipeline.names("s4") == ["Encounter/back/1"]


def test_subscription_is_renewed_as_it_stood_at_the_change(pipeline):
    pipeline.define("admit", MODIFIED)
    pipeline.write(encounter("arrived", id="e"))
    pipeline.write(encounter("arrived", id="e"))
    for id in ("s1", "s4"):
        pipeline.subscribe("Encounter?status=finished", id=id)
    pipeline.delete("Subscription", "s3")
    pipeline.write(encounter("arrived", id="e"))
    pipeline.match()
    assert {id: pipeline.names(id) for id in IDS} == {
        "s0": ["Encounter/e/2", "Encounter/e/3"], "s1": ["Encounter/e/2"], "s2": ["Encounter/e/2", "Encounter/e/3"],
        "s3": [], "s4": ["Encounter/e/2"]}


def test_definition_that_is_committed_late_is_told_to_those_that_were_met_before_it(pipeline):
    late = pipeline.define("late", ARRIVED)
    hold = update(change).where(change.c.type == "EventDefinition", change.c.id == late.id)
    with pipeline.database.write() as tx:
        tx.execute(hold.values(matched=True))
    pipeline.ask("Encounter", ["late"], id="s0")
    pipeline.match()
    assert standing(pipeline)[0][0] == "error"
    with pipeline.database.write() as tx:
        tx.execute(hold.values(matched=False))
    pipeline.write(encounter("arrived", id="e"))
    pipeline.match()
    assert standing(pipeline)[0][0] == "active" and pipeline.names("s0") == ["Encounter/e/1"]


def test_batch_ends_with_a_status_that_is_written(database):
    """Else it would lock Subscriptions in the order of the log, and others do in the order of their ids."""
    pipeline = Pipeline(database)
    for id in ("b", "a"):
        pipeline.ask("Encounter", ["lost"], id=id)
    assert [pipeline.matcher.step(), written_error(pipeline, "b"), written_error(pipeline, "a")] == [1, True, False]
    pipeline.match()
    assert written_error(pipeline, "a")


def written_error(pipeline, id):
    with pipeline.database.read() as tx:
        return versions.current(tx, "Subscription", id).resource["status"] == "error"
