"""Holding resources, whether they exist or not. Spec: https://hl7.org/fhir/R4/http.html#transactional-integrity"""
import random
import threading
import time
from contextlib import suppress

from fhir_client import make_client
from sqlalchemy import text
from test_versions import NOW, in_threads, patient, write

from fhirsub.errors import Deadlock
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


def test_hold_locks_in_the_order_of_ids_whatever_came_first(postgresql_database):
    for id in ("b", "a"):
        write(postgresql_database, patient(id))
    with postgresql_database.write() as tx:
        versions.lock(tx, "Patient", "a")
        waiting = threading.Thread(target=put_both, args=(make_client(postgresql_database),))
        waiting.start()
        wait_for_waiter(postgresql_database)
        tx.exec_driver_sql("SET LOCAL lock_timeout = '100ms'")
        assert versions.lock(tx, "Patient", "b") is not None
    waiting.join()


def test_transaction_that_meets_another_in_the_opposite_order_goes_through(postgresql_database):
    client = make_client(postgresql_database)
    put_both(client)
    waiting = threading.Thread(target=put_both, args=(client,))
    with suppress(Deadlock), postgresql_database.write() as tx:  # either of the two may be the one that is ended
        versions.lock(tx, "Patient", "b")
        waiting.start()
        wait_for_waiter(postgresql_database)
        versions.lock(tx, "Patient", "a")
    waiting.join()
    assert client.get("Patient/a").resource["meta"]["versionId"] == "2"


def put_both(client):
    client.put_all(patient("a"), patient("b"))


def wait_for_waiter(database):
    """Until a transaction waits for a row that another one has locked."""
    for _ in range(3_000):
        with database.read() as tx:
            if tx.execute(text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits")
