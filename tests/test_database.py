"""Transactions on SQLite and PostgreSQL."""
from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError

from fhirsub.errors import StorageError
from fhirsub.store.database import Database, claim
from fhirsub.store.tables import stream


def add(tx, question):
    tx.execute(insert(stream).values(question=question, question_hash=question))


def questions(tx):
    return list(tx.execute(select(stream.c.question).order_by(stream.c.id)).scalars())


def test_write_commits_at_the_end(database):
    with database.write() as tx:
        add(tx, "a")
    with database.read() as tx:
        assert questions(tx) == ["a"]


def test_write_leaves_nothing_and_tells_nothing_when_it_raises(database):
    seen = database.hints.seen("change")
    with pytest.raises(KeyError), database.write() as tx:
        add(tx, "a")
        database.hints.announce(tx, "change")
        raise KeyError
    with database.read() as tx:
        assert questions(tx) == []
    assert database.hints.seen("change") == seen


def test_write_tells_after_the_commit(database):
    found = []
    ring = database.hints._ring

    def look(names):
        with database.read() as tx:
            found.append((tuple(names), questions(tx)))
        ring(names)

    database.hints._ring = look
    with database.write() as tx:
        database.hints.announce(tx, "change")
        add(tx, "a")
    assert (("change",), ["a"]) in found


def test_read_sees_one_snapshot(database):
    with database.read() as tx:
        assert questions(tx) == []
        with database.write() as other:
            add(other, "a")
        assert questions(tx) == []


def test_read_refuses_to_write_on_postgresql(postgresql_database):
    with pytest.raises(StorageError, match="read-only"), postgresql_database.read() as tx:
        add(tx, "a")


def test_next_transaction_writes_after_a_read(database):
    with database.read() as tx:
        questions(tx)
    with database.write() as tx:
        add(tx, "a")
    with database.write() as tx:
        add(tx, "b")
        assert questions(tx) == ["a", "b"]


def test_write_of_many_threads_loses_nothing(database):
    def writer(number):
        for n in range(10):
            with database.write() as tx:
                add(tx, f"{number}-{n}")

    threads = [threading.Thread(target=writer, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as tx:
        assert len(questions(tx)) == 80


def test_write_inside_write_says_what_is_wrong(sqlite_database):
    with sqlite_database.write(), pytest.raises(RuntimeError, match="pass the outer tx on"):
        with sqlite_database.write():
            pass


def test_integrity_error_stays_what_it_is(database):
    with pytest.raises(IntegrityError), database.write() as tx:
        add(tx, "a")
        add(tx, "a")


@pytest.mark.parametrize("pragma, value", [
    ("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10000)])
def test_sqlite_is_durable_and_patient(sqlite_database, pragma, value):
    with sqlite_database.write() as tx:
        assert tx.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_write_waits_for_another_process(sqlite_database):
    other = sqlite3.connect(sqlite_database.engine.url.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    threading.Timer(0.2, other.execute, ["COMMIT"]).start()
    started_at = time.monotonic()
    with sqlite_database.write() as tx:
        add(tx, "a")
    assert 0.15 < time.monotonic() - started_at < 8


def test_write_gives_up_on_a_process_that_holds_the_lock(sqlite_database, monkeypatch):
    monkeypatch.setattr("fhirsub.store.sqlite.BUSY_S", 0.1)
    other = sqlite3.connect(sqlite_database.engine.url.database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="write lock"), sqlite_database.write():
        pass
    other.execute("COMMIT")
    with sqlite_database.write() as tx:
        add(tx, "a")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/fhirsub.db", "postgresql://postgres@/x?host=/nowhere"])
def test_storage_error_when_the_database_is_away(url):
    database = Database(url)
    with pytest.raises(StorageError), database.write():
        pass
    with pytest.raises(StorageError), database.read():
        pass
    database.dispose()


def test_storage_error_says_nothing_of_what_was_written(postgresql_database):
    with pytest.raises(StorageError) as caught, postgresql_database.write() as tx:
        tx.execute(text("SELECT pg_terminate_backend(pg_backend_pid()), :secret"), {"secret": "PHI-CANARY"})
    assert "PHI-CANARY" not in f"{caught.value}{caught.value.__cause__}"


def test_transaction_that_stands_still_is_cut_off(postgresql_url):
    """A machine that is frozen, or has vanished, does not keep its locks."""
    database = Database(f"{postgresql_url}&options=-cidle_in_transaction_session_timeout%3D100")
    with pytest.raises(StorageError), database.write() as tx:
        tx.execute(select(1))
        time.sleep(1)
        tx.execute(select(1))
    database.dispose()


def test_connection_says_how_long_a_transaction_may_stand_still(postgresql_database):
    with postgresql_database.read() as tx:
        assert tx.exec_driver_sql("SHOW idle_in_transaction_session_timeout").scalar() == "30s"


def test_connections_that_the_server_closed_are_replaced_unnoticed(postgresql_database, postgresql_url):
    with postgresql_database.write() as tx, postgresql_database.write() as other:
        questions(tx), questions(other)
    with psycopg.connect(postgresql_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'fhirsub'")
    time.sleep(0.1)
    for n in range(3):
        with postgresql_database.write() as tx:
            add(tx, str(n))


def test_claim_makes_others_wait_and_then_see(database):
    order = []

    def claimant(number):
        with database.write() as tx:
            claim(tx, "Patient?identifier=1")
            order.append(questions(tx))
            time.sleep(0.02)
            add(tx, str(number))

    threads = [threading.Thread(target=claimant, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(seen) for seen in order] == [0, 1, 2, 3]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_sqlite_in_memory_is_refused(url):
    with pytest.raises(ValueError, match="use a file"):
        Database(url)


def test_other_databases_are_refused():
    with pytest.raises(ValueError, match="sqlite:///path or postgresql://"):
        Database("mysql://localhost/x")


def test_postgres_is_another_name_of_postgresql(postgresql_url):
    database = Database(postgresql_url.replace("postgresql://", "postgres://"))
    with database.write() as tx:
        add(tx, "a")
    assert database.dialect == "postgresql"
    database.dispose()


def test_forked_child_has_connections_of_its_own(database):
    with database.write() as tx:
        add(tx, "parent")
        pool, hints = database.engine.pool, database.hints
    child = os.fork()
    if child == 0:
        with database.write() as tx:
            add(tx, "child")
        os._exit(database.engine.pool is pool or database.hints is hints)
    assert os.waitpid(child, 0)[1] == 0
    with database.read() as tx:
        assert questions(tx) == ["parent", "child"]


def test_write_runs_under_gevent(database):
    script = (
        "import gevent.monkey; gevent.monkey.patch_all()\n"
        "import gevent, sys\n"
        "from fhirsub.store.database import Database\n"
        "database = Database(sys.argv[1])\n"
        "def writer(n):\n"
        "    for i in range(5):\n"
        "        with database.write() as tx:\n"
        "            tx.exec_driver_sql(f\"INSERT INTO fhirsub_stream (question, question_hash) VALUES ('q', '{n}-{i}')\")\n"
        "            database.hints.announce(tx, 'change')\n"
        "gevent.joinall([gevent.spawn(writer, n) for n in range(10)], raise_error=True)\n"
        "database.hints.wait('change', database.hints.seen('change'), 0.05)\n"
        "database.dispose()\n")
    subprocess.run([sys.executable, "-c", script, database.url], check=True, timeout=30, cwd=os.getcwd())
    with database.read() as tx:
        assert len(questions(tx)) == 50
