"""Which Groups and Lists hold a resource now."""
from datetime import datetime, timezone

from fhirsub.store import versions
from fhirsub.store.membership import holders

NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
BASE = "http://127.0.0.1/fhir"


def write(database, resource):
    with database.write() as tx:
        versions.write(tx, resource, now=NOW, base_url=BASE)


def group(id, *members):
    return {"resourceType": "Group", "id": id, "type": "person", "actual": True, "member": [
        {"entity": {"reference": reference}} | more for reference, more in members]}


def held(database, *references):
    with database.read() as tx:
        return holders(tx, references)


def test_holders_are_the_groups_and_lists_of_now(database):
    write(database, group("g", ("Patient/a", {}), ("Patient/b", {"inactive": True}), (f"{BASE}/Patient/c", {})))
    write(database, {"resourceType": "List", "id": "l", "status": "current", "mode": "working", "entry": [
        {"item": {"reference": "Patient/a"}}, {"item": {"reference": "Patient/b"}, "deleted": True}]})
    assert held(database, "Patient/a", "Patient/b", "Patient/c", "Patient/d") == {
        "Patient/a": {"Group/g", "List/l"}, "Patient/b": frozenset(), "Patient/c": {"Group/g"}, "Patient/d": frozenset()}


def test_holders_follow_the_current_version(database):
    write(database, group("g", ("Patient/a", {})))
    write(database, group("g", ("Patient/b", {})))
    assert held(database, "Patient/a", "Patient/b") == {"Patient/a": frozenset(), "Patient/b": {"Group/g"}}
    with database.write() as tx:
        versions.delete(tx, "Group", "g", now=NOW)
    assert held(database, "Patient/b") == {"Patient/b": frozenset()}


def test_reference_longer_than_an_index_entry_is_held_too(database):
    long = "http://elsewhere/" + "x" * 600
    write(database, group("g", (long, {})))
    assert held(database, long) == {long: {"Group/g"}} and held(database) == {}
