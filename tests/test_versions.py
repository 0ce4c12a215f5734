"""Versions of resources. Spec: https://hl7.org/fhir/R4/http.html#versions"""
from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import event, func, select

from fhirsub.errors import NotFound
from fhirsub.fhir import json
from fhirsub.store import changes, versions
from fhirsub.store.database import claim
from fhirsub.store.tables import search_value

NOW = datetime(2024, 5, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)


def patient(id="p", **elements):
    return {"resourceType": "Patient", "id": id, **elements}


def write(database, resource, now=NOW):
    with database.write() as tx:
        return versions.write(tx, resource, now=now)


def delete(database, id="p", now=NOW):
    with database.write() as tx:
        return versions.delete(tx, "Patient", id, now=now)


def in_threads(count, work):
    """Run ``work(number)`` in threads and raise what one of them raised."""
    failures = []

    def run(number):
        try:
            work(number)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=[number]) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_write_numbers_versions_from_one(database):
    assert [(write(database, patient()).version_id, write(database, patient("q")).version_id) for _ in range(3)] == [
        (1, 1), (2, 2), (3, 3)]


def test_write_says_whether_it_created_or_updated(database):
    assert [write(database, patient()).interaction, write(database, patient()).interaction] == ["create", "update"]


def test_write_after_delete_revives_with_the_next_version(database):
    write(database, patient())
    assert delete(database).version_id == 2
    revived = write(database, patient())
    assert (revived.version_id, revived.interaction) == (3, "create")
    assert write(database, patient()).interaction == "update"


def test_write_keeps_the_rest_of_meta(database):
    meta = {"tag": [{"code": "x"}], "versionId": "77", "lastUpdated": "1999-01-01T00:00:00Z"}
    written = write(database, patient(meta=meta, active=True))
    assert list(written.resource) == ["resourceType", "id", "meta", "active"]
    assert written.resource["meta"] == {
        "tag": [{"code": "x"}], "versionId": "1", "lastUpdated": "2024-05-01T12:00:00.123Z"}


def test_write_leaves_the_given_resource_alone(database):
    given = patient(meta={"source": "urn:x"})
    write(database, given)
    assert given == patient(meta={"source": "urn:x"})


def test_write_keeps_decimals(database):
    write(database, patient(extension=[{"url": "urn:x", "valueDecimal": Decimal("1.00")}]))
    with database.read() as tx:
        assert '"valueDecimal":1.00' in versions.current(tx, "Patient", "p").content


def test_last_updated_is_what_meta_says(database):
    written = write(database, patient())
    assert written.last_updated == NOW.replace(microsecond=123000)
    with database.read() as tx:
        assert versions.current(tx, "Patient", "p").last_updated == written.last_updated


def test_last_updated_never_goes_back(database):
    first = write(database, patient())
    assert write(database, patient(), NOW - timedelta(hours=1)).last_updated == first.last_updated
    assert delete(database, now=NOW - timedelta(hours=2)).last_updated == first.last_updated


def test_current_and_vread(database):
    write(database, patient(active=False))
    write(database, patient(active=True))
    with database.read() as tx:
        assert versions.current(tx, "Patient", "p").resource["active"] is True
        assert versions.vread(tx, "Patient", "p", 1).resource["active"] is False
        assert versions.vread(tx, "Patient", "p", 3) is None
        assert versions.current(tx, "Patient", "q") is None
        assert versions.current(tx, "Observation", "p") is None


def test_deleting_version_has_no_content(database):
    write(database, patient())
    delete(database)
    with database.read() as tx:
        current = versions.current(tx, "Patient", "p")
    assert (current.deleted, current.resource, current.interaction, current.version_id) == (True, None, "delete", 2)


@pytest.mark.parametrize("before", [[], [write, lambda database, resource: delete(database)]])
def test_delete_of_what_is_not_there_is_refused(database, before):
    for step in before:
        step(database, patient())
    with pytest.raises(NotFound, match="Patient/p"):
        delete(database)


def test_every_version_is_a_change(database):
    write(database, patient())
    write(database, patient(active=True))
    delete(database)
    with database.read() as tx:
        pending = changes.pending(tx, 10)
    assert [(change.type, change.id, change.version_id, change.interaction) for change in pending] == [
        ("Patient", "p", "1", "create"), ("Patient", "p", "2", "update"), ("Patient", "p", "3", "delete")]


def test_search_values_are_those_of_the_current_version(database):
    def found(tx):
        return set(tx.execute(select(search_value.c.value).where(search_value.c.parameter == "gender")).scalars())

    for gender in ("male", "female"):
        write(database, patient(gender=gender))
    with database.read() as tx:
        assert found(tx) == {"female"}
    delete(database)
    with database.read() as tx:
        assert tx.execute(select(func.count()).select_from(search_value)).scalar() == 0
    write(database, patient(gender="other"))
    with database.read() as tx:
        assert found(tx) == {"other"}


def test_search_values_keep_every_kind_of_column(database):
    write(database, patient(birthDate="1970-01-02", name=[{"family": 'Ä "b" \\ \t'}]))
    with database.read() as tx:
        rows = tx.execute(select(search_value).where(search_value.c.type == "Patient")).all()
    birth = next(row for row in rows if row.parameter == "birthdate")
    assert (birth.low, birth.high, birth.value) == (86400_000000, 2 * 86400_000000, None)
    assert next(row for row in rows if row.parameter == "family").text == 'Ä "b" \\ \t'


def test_writers_of_one_resource_leave_no_gap_and_lose_nothing(database):
    write(database, patient(multipleBirthInteger=0))

    def add_one(number):
        for _ in range(10):
            with database.write() as tx:
                current = versions.lock(tx, "Patient", "p").resource
                raised = current["multipleBirthInteger"] + 1
                versions.write(tx, {**current, "multipleBirthInteger": raised}, now=NOW)

    in_threads(8, add_one)
    with database.read() as tx:
        assert versions.current(tx, "Patient", "p").resource["multipleBirthInteger"] == 80
        assert [versions.vread(tx, "Patient", "p", n).resource["multipleBirthInteger"] for n in range(1, 82)] == [
            *range(81)]
        pending = changes.pending(tx, 100)
    assert [int(change.version_id) for change in pending] == [*range(1, 82)]


def test_creators_of_one_id_follow_one_another(database):
    barrier = threading.Barrier(8)

    def create(number):
        barrier.wait()
        with database.write() as tx:
            versions.write(tx, patient(gender="male"), now=NOW)

    in_threads(8, create)
    with database.read() as tx:
        found = [versions.vread(tx, "Patient", "p", n).interaction for n in range(1, 9)]
        assert tx.execute(select(func.count()).where(search_value.c.parameter == "gender")).scalar() == 1
    assert found == ["create"] + ["update"] * 7


def test_claimed_condition_creates_one_resource(database):
    def create_if_none(number):
        with database.write() as tx:
            claim(tx, "Patient?identifier=x")
            if tx.execute(select(search_value.c.key).where(search_value.c.parameter == "gender")).first() is None:
                versions.write(tx, patient(f"p{number}", gender="male"), now=NOW)

    in_threads(20, create_if_none)
    with database.read() as tx:
        assert len(changes.pending(tx, 100)) == 1


def test_lock_shows_what_was_written_while_it_waited(postgresql_database):
    write(postgresql_database, patient(active=False))
    found = []

    def locker():
        with postgresql_database.write() as tx:
            found.append(versions.lock(tx, "Patient", "p"))

    with postgresql_database.write() as tx:
        versions.lock(tx, "Patient", "p")
        waiting = threading.Thread(target=locker)
        waiting.start()
        waiting.join(0.2)
        assert not found
        versions.write(tx, patient(active=True), now=NOW)
    waiting.join()
    assert found[0].resource["active"] is True


def test_rolled_back_write_leaves_nothing(database):
    write(database, patient())
    with pytest.raises(ZeroDivisionError), database.write() as tx:
        versions.write(tx, patient(gender="male"), now=NOW)
        versions.write(tx, patient("q"), now=NOW)
        1 / 0
    with database.read() as tx:
        assert versions.current(tx, "Patient", "p").version_id == 1
        assert versions.current(tx, "Patient", "q") is None
        assert len(changes.pending(tx, 10)) == 1


def test_write_all_and_delete_all_keep_the_order_given(database):
    write(database, patient("b", gender="male"))
    write(database, patient("c"))
    delete(database, "c")
    with database.write() as tx:
        group = {"resourceType": "Group", "id": "b", "type": "person", "actual": True}
        resources = [patient("z"), patient("b", gender="female"), group, patient("a"), patient("c")]
        written = versions.write_all(tx, resources, now=NOW)
        deleting = versions.delete_all(tx, [("Patient", "z"), ("Group", "b"), ("Patient", "a")], now=NOW)
        assert versions.write_all(tx, [], now=NOW) == versions.delete_all(tx, [], now=NOW) == []
    assert [(one.id, one.version_id, one.interaction) for one in written] == [
        ("z", 1, "create"), ("b", 2, "update"), ("b", 1, "create"), ("a", 1, "create"), ("c", 3, "create")]
    assert [one.id for one in deleting] == ["z", "b", "a"]
    with database.read() as tx:
        assert [(one.type, one.id) for one in changes.pending(tx, 100)][3:] == [
            *((one.type, one.id) for one in written), ("Patient", "z"), ("Group", "b"), ("Patient", "a")]
        assert tx.execute(select(search_value.c.value).where(search_value.c.parameter == "gender")).scalars().all() == [
            "female"]


def test_delete_all_names_what_is_not_there_and_deletes_nothing(database):
    write(database, patient("a"))
    with pytest.raises(NotFound, match="Patient/lost"), database.write() as tx:
        versions.delete_all(tx, [("Patient", "a"), ("Patient", "lost")], now=NOW)
    with database.read() as tx:
        assert not versions.current(tx, "Patient", "a").deleted


def test_write_takes_four_statements_at_most(postgresql_database):
    count = []
    event.listen(postgresql_database.engine, "before_cursor_execute", lambda *args: count.append(args[2]))
    for _ in range(2):
        count.clear()
        write(postgresql_database, patient(gender="male"))
        assert len(count) <= 4


def test_content_is_the_json_of_the_resource(database):
    written = write(database, patient(active=True))
    with database.read() as tx:
        stored = versions.current(tx, "Patient", "p")
    assert stored == written
    assert json.decode(stored.content) == stored.resource
