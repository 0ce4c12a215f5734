"""The log of what was written."""
from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from fhirsub.store import changes, versions
from fhirsub.store.changes import Change

NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
WEIGHT = {"resourceType": "Observation", "id": "o", "valueQuantity": {"value": Decimal("1.00")}}


@pytest.fixture
def host(database):
    """The engine of a host application, which knows nothing of ours."""
    made = create_engine(database.engine.url)
    yield made
    made.dispose()


def pending(database, limit=100):
    with database.read() as tx:
        return changes.pending(tx, limit)


def patient(id):
    return {"resourceType": "Patient", "id": id}


def test_record_keeps_resource_and_previous_with_their_decimals(database, host):
    with host.begin() as connection:
        seq = changes.record(connection, Change("Observation", "o", "v-7", "update", WEIGHT, patient("x")), now=NOW)
    assert pending(database) == [Change("Observation", "o", "v-7", "update", WEIGHT, patient("x"), seq, NOW)]
    assert str(pending(database)[0].resource["valueQuantity"]["value"]) == "1.00"


def test_record_takes_part_in_the_transaction_of_a_session(database, host):
    with Session(host) as session:
        changes.record(session.connection(), Change("Patient", "a", "1", "create", patient("a")), now=NOW)
        session.rollback()
        changes.record(session.connection(), Change("Patient", "b", "1", "create", patient("b")), now=NOW)
        session.commit()
    assert [change.id for change in pending(database)] == ["b"]


def test_record_tells_after_the_commit_of_our_own_transaction(database):
    seen = database.hints.seen("change")
    with database.write() as tx:
        changes.record(tx, Change("Patient", "a", "1", "create", patient("a")), now=NOW)
    assert database.hints.seen("change") > seen


def test_pending_is_in_order_and_limited(database):
    with database.write() as tx:
        for n in range(5):
            versions.write(tx, patient(f"p{n}"), now=NOW)
    assert [change.id for change in pending(database, 3)] == ["p0", "p1", "p2"]


def test_mark_ends_pending(database):
    with database.write() as tx:
        for n in range(3):
            versions.write(tx, patient(f"p{n}"), now=NOW)
        changes.mark(tx, [change.seq for change in changes.pending(tx, 2)])
    assert [change.id for change in pending(database)] == ["p2"]


def test_later_commit_of_an_earlier_number_is_pending_too(postgresql_database):
    """What "seq > last seen" would skip for ever: A is numbered first and committed last."""
    with postgresql_database.write() as a:
        versions.write(a, patient("a"), now=NOW)
        with postgresql_database.write() as b:
            versions.write(b, patient("b"), now=NOW)
        with postgresql_database.write() as tx:
            found = changes.pending(tx, 10)
            changes.mark(tx, [change.seq for change in found])
        assert [change.id for change in found] == ["b"]
    assert [change.id for change in pending(postgresql_database)] == ["a"]


def test_load_brings_the_version_that_was_written(database, host):
    with database.write() as tx:
        versions.write(tx, {**patient("a"), "active": False}, now=NOW)
    with database.write() as tx:
        versions.write(tx, {**patient("a"), "active": True}, now=NOW)
        versions.delete(tx, "Patient", "a", now=NOW)
    with host.begin() as connection:
        changes.record(connection, Change("Observation", "o", "not a number", "create", WEIGHT), now=NOW)
        changes.record(connection, Change("Observation", "o", "nor this", "delete"), now=NOW)
    seqs = [change.seq for change in pending(database)]
    with database.read() as tx:
        loaded = changes.load(tx, seqs)
    found = [loaded[seq].resource for seq in seqs]
    assert [resource and resource.get("active") for resource in found[:3]] == [False, True, None]
    assert found[3:] == [WEIGHT, None]


def test_load_of_a_host_change_is_not_taken_for_our_version_of_the_same_id(database, host):
    with database.write() as tx:
        versions.write(tx, patient("a"), now=NOW)
    with host.begin() as connection:
        seq = changes.record(connection, Change("Patient", "a", "1", "delete"), now=NOW)
    with database.read() as tx:
        assert changes.load(tx, [seq])[seq].resource is None


def test_load_knows_matched_changes_and_leaves_out_unknown_ones(database):
    with database.write() as tx:
        versions.write(tx, patient("a"), now=NOW)
        [change] = changes.pending(tx, 1)
        changes.mark(tx, [change.seq])
        assert set(changes.load(tx, [change.seq, 10**9])) == {change.seq}
        assert changes.load(tx, []) == {}


def test_pending_is_read_from_its_index(database):
    statement = changes._PENDING.limit(10).compile(
        database.engine, compile_kwargs={"literal_binds": True})
    with database.write() as tx:
        seqs = [changes.record(tx, Change("Patient", "a", "1", "delete"), now=NOW) for _ in range(100)]
        changes.mark(tx, seqs[:-1])
        tx.execute(text("ANALYZE fhirsub_change"))  # else it guesses by what the tests before have left
        if database.dialect == "postgresql":
            tx.execute(text("SET LOCAL enable_seqscan = off"))
            tx.execute(text("SET LOCAL enable_sort = off"))
        plan = str(tx.execute(text(("EXPLAIN QUERY PLAN " if database.dialect == "sqlite" else "EXPLAIN ")
                                   + str(statement))).all())
    assert "ix_fhirsub_change_pending" in plan
    assert "Filter" not in plan and "TEMP B-TREE" not in plan


def test_previous_is_the_version_that_was_replaced_with_its_base(database):
    with database.write() as tx:
        versions.write(tx, {**patient("a"), "active": False}, now=NOW, base_url="http://host/fhir")
        versions.write(tx, {**patient("a"), "active": True}, now=NOW)
        versions.delete(tx, "Patient", "a", now=NOW)
        versions.write(tx, patient("a"), now=NOW)
    seqs = [change.seq for change in pending(database)]
    with database.read() as tx:
        found = changes.previous(tx, seqs)
    assert [(found[seq][0]["active"], found[seq][1]) for seq in seqs if seq in found] == [
        (False, "http://host/fhir"), (True, "")]
    assert set(found) == set(seqs[1:3])


def test_previous_is_unknown_of_a_host_change(database, host):
    with host.begin() as connection:
        seq = changes.record(connection, Change("Patient", "a", "2", "update", patient("a")), now=NOW)
    with database.read() as tx:
        assert changes.previous(tx, [seq]) == {}


def test_record_version_keeps_the_topic_that_was_raised_and_its_context(database):
    with database.write() as tx:
        versions.write(tx, patient("a"), now=NOW)
        changes.record_version(tx, 1, "Patient", "a", 1, "raise", now=NOW, topic_id="t", context=["Encounter/1"])
    _, raised = pending(database)
    assert (raised.topic_id, raised.context, raised.resource["id"]) == ("t", ("Encounter/1",), "a")
