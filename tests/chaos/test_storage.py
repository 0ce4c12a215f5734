"""Databases that go away, fill up, commit late or not at all."""
import http.client
import json
import resource
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from live import FHIR, Client, observation
from receiver import status
from trial import short_on

from fhirsub.store import versions

WRITES = 12_500  # four of five match
chaos = pytest.mark.chaos


@pytest.mark.parametrize("stopped_s, machines", [(1, 1), pytest.param(10, 2, marks=[chaos, pytest.mark.timeout(300)])])
def test_postgresql_stops_and_starts(trial, own_postgresql, stopped_s, machines):  # F16
    t = trial(own_postgresql.url, web=machines, workers=machines)
    t.subscribe("/a", "/b")
    writers = t.write(200 + 100 * stopped_s)
    writers.wait(50)
    own_postgresql.stop()
    stopped = time.monotonic()
    answer, headers = put(t.machines.webs[0])
    assert answer == 503 and int(headers["Retry-After"]) > 0
    time.sleep(max(0, stopped + stopped_s - time.monotonic()))
    own_postgresql.start()
    taken = t.accepted("/a")
    resumed_s = t.wait(lambda: t.accepted("/a") > taken + 5, "workers resume")
    t.finish(f"F16 PostgreSQL stopped for {stopped_s} s", kills=1,
             more=f"delivering {resumed_s:.1f} s after it was back; answers but 2xx: {writers.refused}")


def test_disk_is_full_for_a_while(trial, sqlite_url):  # F17
    """Full for this server alone: none of its files may grow (RLIMIT_FSIZE), for a small disk needs root."""
    t = trial(sqlite_url)
    t.subscribe("/a", "/b")
    pid, path = t.machines.webs[0].process.pid, Path(sqlite_url.removeprefix("sqlite:///"))
    writers = t.write(300)
    writers.wait(100)
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (path.with_name(path.name + "-wal").stat().st_size // 2, hard))
    t.wait(lambda: writers.refused or len(writers.ledger) == 300, "the disk is full")
    assert writers.refused.keys() <= {503, 507, 500}, writers.refused
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
    t.finish("F17 disk full, then not", more=f"answers but 2xx: {writers.refused}")
    assert t.machines.webs[0].process.poll() is None


def test_late_commit_is_not_skipped(trial, postgresql_url, postgresql_database):  # F24; SQLite has one writer at a time
    t = trial(postgresql_url)
    t.subscribe("/a")
    with postgresql_database.write() as tx:
        late = observation(id="late", status="final", identifier=[{"value": "late"}])
        versions.write(tx, late, now=datetime.now(timezone.utc))
        t.write(40).join()
        t.wait(lambda: t.accepted("/a") >= 32, "what was committed meanwhile is delivered")
    t.wait(lambda: t.accepted("/a") >= 33, "what was committed last is delivered too")
    t.finish("F24 a transaction held open while others commit")


@short_on("postgresql")
def test_transaction_that_fails_notifies_nobody(trial, live_url):  # F25
    t = trial(live_url)
    t.subscribe("/a")
    entries = [{"resource": observation(id=f"t{number}"), "request": {"method": "PUT", "url": f"Observation/t{number}"}}
               for number in range(5)]
    entries[4]["request"]["ifMatch"] = 'W/"9"'
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    for _ in range(5):
        answer, _ = Client(t.machines.webs[0]).request("POST", "", bundle)
        assert 400 <= answer < 500
    t.write(20)
    t.finish("F25 transactions whose last entry fails")


@chaos
@pytest.mark.timeout(900)
def test_restart_with_a_backlog(trial, live_url):  # F28
    t = trial(live_url)
    t.subscribe("/a")
    t.receiver.behave("/a", status(503))
    t.write(WRITES, count=8).join(600)
    t.machines.kill()
    t.receiver.behave("/a", status(200))
    began = time.monotonic()
    t.machines.start()
    boot_s = time.monotonic() - began
    first_s = t.wait(lambda: t.accepted("/a") > 0, "the first is delivered")
    t.finish(f"F28 restart with a backlog of {WRITES * 4 // 5} events", kills=1,
             more=f"boot {boot_s:.1f} s, first notification {first_s:.1f} s after it")


def put(live):
    """``(status, headers)`` of a write."""
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)
    body = json.dumps(observation(status="preliminary"))
    connection.request("POST", "/fhir/Observation", body, {"Content-Type": FHIR})
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers
