"""Wake-ups, inside one process and between processes."""
from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import psycopg
import pytest
from sqlalchemy import create_engine, make_url

from fhirsub.store.database import Database
from fhirsub.store.hints import Hints
from fhirsub.store.relay import Relay


class Waiter(threading.Thread):
    """Waits for a name and remembers when it woke up."""

    def __init__(self, hints, name, timeout_s=5):
        super().__init__()
        self.hints, self.name_waited_for, self.timeout_s = hints, name, timeout_s
        self.seen = hints.seen(name)
        self.start()

    def run(self):
        self.found = self.hints.wait(self.name_waited_for, self.seen, self.timeout_s)
        self.woke_at = time.monotonic()


@pytest.fixture
def elsewhere(postgresql_url):
    """The same database as another process sees it; on SQLite nothing but the sweep goes between processes."""
    made = Database(postgresql_url)
    yield made
    made.dispose()


def listening(database):
    """Wait until the first words of the relay have come, so that they wake nobody later."""
    seen = database.hints.seen("change")
    while database.dialect == "postgresql" and seen == 0:
        seen = database.hints.wait("change", 0, 5)


def test_wait_returns_when_told():
    hints = Hints()
    waiter = Waiter(hints, "change")
    hints.tell("change")
    waiter.join(1)
    assert waiter.found == 1


def test_wait_returns_at_once_when_told_since_the_look():
    hints = Hints()
    seen = hints.seen("change")
    hints.tell("change")
    assert hints.wait("change", seen, 5) == seen + 1


def test_wait_ends_with_the_time():
    hints = Hints()
    started_at = time.monotonic()
    assert hints.wait("change", 0, 0.05) == 0
    assert 0.04 < time.monotonic() - started_at < 8


def test_wait_is_not_woken_by_another_name():
    hints = Hints()
    waiter = Waiter(hints, "event", 0.1)
    hints.tell("change")
    waiter.join()
    assert waiter.found == 0


def test_announce_tells_once_committed(database):
    listening(database)
    seen = database.hints.seen("event")
    with database.write() as tx:
        database.hints.announce(tx, "event")
        assert database.hints.seen("event") == seen
    assert database.hints.seen("event") == seen + 1


@pytest.mark.parametrize("how", ["own", "foreign"])
def test_commit_wakes_a_waiter(database, how):
    listening(database)
    foreign = create_engine(database.engine.url)
    latencies = []
    for _ in range(20):
        waiter = Waiter(database.hints, "change")
        with (database.write() if how == "own" else foreign.begin()) as tx:
            database.hints.announce(tx, "change")
        committed_at = time.monotonic()
        waiter.join(5)
        latencies.append(waiter.woke_at - committed_at)
    assert sorted(latencies)[10] < 0.5  # else it would be 5 s
    foreign.dispose()


def test_commit_wakes_another_process(postgresql_database, elsewhere):
    database = postgresql_database
    listening(elsewhere)
    listening(database)
    latencies = []
    for _ in range(20):
        waiter = Waiter(elsewhere.hints, "change")
        with database.write() as tx:
            database.hints.announce(tx, "change")
        committed_at = time.monotonic()
        waiter.join(5)
        latencies.append(waiter.woke_at - committed_at)
    assert sorted(latencies)[10] < 0.5  # else it would be 5 s


def test_relay_takes_the_options_of_a_url(postgresql_url):
    url = make_url(postgresql_url).update_query_dict({"options": "-c statement_timeout=9s -c lock_timeout=8s"})
    with psycopg.connect(Relay(url)._conninfo) as connection:
        assert connection.execute("SHOW lock_timeout").fetchone() == ("8s",)


def test_foreign_rollback_tells_nothing(database):
    listening(database)
    seen = database.hints.seen("change")
    foreign = create_engine(database.engine.url)
    with foreign.connect() as tx:
        database.hints.announce(tx, "change")
        tx.rollback()
        tx.commit()
    assert database.hints.wait("change", seen, 0.05) == seen
    foreign.dispose()


def test_waiter_looks_again_while_a_foreign_commit_is_under_way(sqlite_database):
    """The commit event of SQLAlchemy comes before the commit: whoever looks at once may see nothing yet."""
    hints, foreign = sqlite_database.hints, create_engine(sqlite_database.engine.url)
    with foreign.begin() as tx:
        hints.announce(tx, "change")
    seen, looks = hints.seen("change"), 0
    until = time.monotonic() + 0.3
    while time.monotonic() < until:
        hints.wait("change", seen, 0.3)
        looks += 1
    assert 5 <= looks <= 10
    foreign.dispose()


def test_stop_sends_what_was_told_before(postgresql_database, elsewhere):
    listening(elsewhere)
    waiter = Waiter(elsewhere.hints, "due")
    postgresql_database.hints.tell("due")
    postgresql_database.dispose()
    waiter.join(1)
    assert waiter.found > waiter.seen


def test_relay_connects_again_and_wakes_everybody(postgresql_database):
    database = postgresql_database
    listening(database)
    waiter = Waiter(database.hints, "event")
    with database.write() as tx:
        tx.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                           "AND datname = current_database()")
    waiter.join(5)
    assert waiter.found > waiter.seen


def test_no_thread_runs_before_somebody_waits_or_tells(postgresql_database):
    with postgresql_database.write() as tx:
        tx.exec_driver_sql("SELECT 1")
    assert not [thread for thread in threading.enumerate() if thread.name == "fhirsub-relay"]
    postgresql_database.hints.tell("change")
    assert [thread for thread in threading.enumerate() if thread.name == "fhirsub-relay"]
    postgresql_database.dispose()
    assert not [thread for thread in threading.enumerate() if thread.name == "fhirsub-relay"]


def test_idle_relay_does_no_work(postgresql_database):
    listening(postgresql_database)
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.02


def test_another_process_wakes_a_greenlet_while_the_others_go_on(postgresql_database):
    script = (
        "import gevent.monkey; gevent.monkey.patch_all()\n"
        "import gevent, sys\n"
        "from fhirsub.store.database import Database\n"
        "database, ticks = Database(sys.argv[1]), []\n"
        "def tick():\n"
        "    while True:\n"
        "        ticks.append(gevent.sleep(0.01))\n"
        "gevent.spawn(tick)\n"
        "seen = database.hints.wait('change', 0, 10)\n"  # the first words of the relay
        "print('listening', flush=True)\n"
        "print(database.hints.wait('change', seen, 10) - seen, len(ticks) > 5, flush=True)\n"
        "database.dispose()\n")
    with subprocess.Popen([sys.executable, "-c", script, postgresql_database.url], stdout=subprocess.PIPE, text=True,
                          cwd=os.getcwd()) as process:
        assert process.stdout.readline() == "listening\n"
        time.sleep(0.2)
        postgresql_database.hints.tell("change")
        assert process.stdout.readline() == "1 True\n"
        assert process.wait(5) == 0
