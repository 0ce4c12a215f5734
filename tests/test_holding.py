"""Holding resources, whether they exist or not. Spec: https://hl7.org/fhir/R4/http.html#transactional-integrity"""
import random
import threading

from test_versions import NOW, in_threads, patient, write

from fhirsub.store import versions
from fhirsub.store.holding import hold


def test_hold_finds_what_exists(database):
    write(database, patient("a"))
    write(database, patient("b"))
    write(database, {"resourceType": "Group", "id": "a", "type": "person", "actual": True})
    with database.write() as tx:
        held = hold(tx, [("Patient", "b"), ("Group", "a"), ("Patient", "never"), ("Patient", "a")])
        assert hold(tx, []) == {}
    assert {name: version.version_id for name, version in held.items()} == {
        ("Patient", "a"): 1, ("Patient", "b"): 1, ("Group", "a"): 1}


def test_hold_shows_what_was_written_while_it_waited(postgresql_database):
    write(postgresql_database, patient("a", active=False))
    found = []

    def holder():
        with postgresql_database.write() as tx:
            found.append(hold(tx, [("Patient", "a"), ("Patient", "new")]))

    with postgresql_database.write() as tx:
        hold(tx, [("Patient", "new"), ("Patient", "a")])
        waiting = threading.Thread(target=holder)
        waiting.start()
        waiting.join(0.2)
        assert not found
        versions.write_all(tx, [patient("a", active=True), patient("new")], now=NOW)
    waiting.join()
    assert found[0]["Patient", "a"].resource["active"] is True and ("Patient", "new") in found[0]


def test_holders_of_many_in_any_order_never_wait_for_each_other(database):
    ids = [f"p{number}" for number in range(8)]

    def hold_and_write(number):
        dice = random.Random(number)
        for _ in range(8):
            some = dice.sample(ids, dice.randint(1, 8))
            with database.write() as tx:
                hold(tx, [("Patient", id) for id in some])
                versions.write_all(tx, [patient(id) for id in some], now=NOW)

    in_threads(6, hold_and_write)
