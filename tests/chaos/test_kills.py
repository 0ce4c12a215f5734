"""Processes that are killed, stopped or frozen. See docs/design.rst, "Never lost"."""
import os
import signal
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest
from live import Client
from receiver import reset, slow, status
from sqlalchemy import select, update
from trial import short_on

from fhirsub.store.tables import lease

MINUTE_S = 60
# One that is frozen inside a transaction keeps its locks until PostgreSQL cuts it off: sooner than by default.
CUT_OFF = "&options=-cidle_in_transaction_session_timeout%3D3s"
chaos = pytest.mark.chaos


@pytest.mark.parametrize("writes, kills", [(60, 2), pytest.param(2000, 20, marks=[chaos, pytest.mark.timeout(600)])])
def test_kill_in_a_burst_of_writes(trial, live_url, writes, kills):  # F1
    t = trial(live_url)
    t.subscribe("/ok", "/slow", "/flaky")
    t.receiver.behave("/slow", slow(0.05))
    t.receiver.behave("/flaky", *[status(503), *[status(200)] * 4, reset(), *[status(200)] * 4] * writes)
    writers = t.write(writes)
    for kill in range(1, kills + 1):
        writers.wait(kill * writes // (kills + 1))
        t.machines.restart()
    t.finish("F1 kill -9 in a burst of writes", kills=kills)


@short_on("postgresql")
@pytest.mark.parametrize("backlog", [50, pytest.param(500, marks=[chaos, pytest.mark.timeout(600)])])
def test_kill_while_a_backlog_is_delivered(trial, live_url, backlog):  # F2
    t = trial(live_url)
    t.subscribe("/a", "/b", "/c")
    for path in t.paths:
        t.receiver.behave(path, status(503))
    t.write(2 * backlog).join()
    for path in t.paths:
        t.receiver.behave(path, slow(0.01))
    t.wait(lambda: all(t.accepted(path) > backlog // 5 for path in t.paths), "a part is delivered")
    t.machines.restart()
    left = 2 * backlog * 4 // 5 - max(t.accepted(path) for path in t.paths)
    t.finish("F2 kill -9 while a backlog is delivered", kills=1, more=f"{left} events or more waited at the kill")


@short_on("sqlite")
@pytest.mark.parametrize("times", [1, pytest.param(10, marks=[chaos, pytest.mark.timeout(600)])])
def test_stop_under_load(trial, live_url, times):  # F3
    t = trial(live_url)
    t.subscribe("/a", "/b", "/slow")
    t.receiver.behave("/slow", slow(0.02))
    writers, took_s = t.write(100 * times), []
    for stop in range(1, times + 1):
        writers.wait(stop * 100 * times // (times + 1))
        began = time.monotonic()
        assert t.machines.webs[0].stop() == 0
        took_s.append(time.monotonic() - began)
        t.machines.start()
    t.finish(f"F3 SIGTERM under load x{times}", more=f"longest stop {max(took_s):.1f} s")


@short_on("postgresql")
def test_two_workers_share_and_one_is_killed(trial, live_url):  # F19
    t = trial(live_url, web=1, workers=2)
    t.subscribe(*[f"/{number}" for number in range(8)])
    writers = t.write(100)
    writers.wait(50)
    t.machines.kill(t.machines.workers[0])
    t.finish("F19 two workers, one killed", kills=1)


@chaos
def test_frozen_worker_overwrites_nothing(trial, live_url):  # F20
    t = trial(live_url + CUT_OFF * live_url.startswith("postgresql"), web=1, workers=2, ATTEMPT_TIMEOUT_S=1, LEASE_S=1)
    t.subscribe(*[f"/{number}" for number in range(8)])
    writers = t.write(200, per_second=40)
    writers.wait(50)
    frozen = t.machines.workers[0].process.pid
    os.killpg(frozen, signal.SIGSTOP)
    writers.join()
    t.wait(lambda: all(t.accepted(path) >= 160 for path in t.paths), "the other worker delivers all")
    os.killpg(frozen, signal.SIGCONT)
    t.finish("F20 a worker frozen, then continued", kills=1)


@chaos
@pytest.mark.timeout(600)
def test_workers_killed_every_second_for_a_minute(trial, postgresql_url):
    t = trial(postgresql_url, web=2, workers=2)
    t.subscribe("/a", "/b", "/slow")
    t.receiver.behave("/slow", slow(0.01))
    writers, kills, began = t.write(6000, count=8, per_second=100), 0, time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        up = deque((worker, None) for worker in t.machines.workers)
        while time.monotonic() - began < MINUTE_S:
            worker, started = up.popleft()
            if started:
                started.result()
            t.machines.kill(worker)
            kills += 1
            up.append((worker, pool.submit(t.machines.start, worker)))
            time.sleep(max(0, began + kills - time.monotonic()))
    rate = len(writers.ledger) / (time.monotonic() - began)
    t.finish("one of two workers killed every second", kills=kills, more=f"{rate:.0f} writes/s meanwhile")


@pytest.mark.parametrize("elsewhere", [False, True])
def test_matcher_moves_to_another_process(trial, postgresql_url, elsewhere):
    """On another machine nobody can see that the holder has died: its lease has to run out."""
    t = trial(postgresql_url, web=1, workers=2)
    t.subscribe("/a")
    t.write(20).join()
    t.wait(t.machines.idle, "the writes before the kill are delivered")
    holder, kept = _matcher(t.machines)
    t.machines.kill(holder)
    killed = time.monotonic()
    if elsewhere:
        with t.machines.database.write() as tx:
            tx.execute(update(lease).where(lease.c.name == "matcher").values(owner="another-machine/" + kept))
    t.write(1, count=1)
    t.wait(lambda: t.accepted("/a") >= 17, "the other worker matches")
    t.finish(f"matcher's {'machine' if elsewhere else 'process'} killed", kills=1,
             more=f"notified {time.monotonic() - killed:.1f} s after the kill")


def _matcher(machines):
    """The worker that holds the matcher's lease, and the owner that the lease tells."""
    with machines.database.read() as tx:
        owner = tx.execute(select(lease.c.owner).where(lease.c.name == "matcher")).scalar_one()
    return next(live for live in machines.workers if f"/{live.process.pid}-" in owner), owner


@chaos
def test_kill_while_subscriptions_are_switched_on(trial, live_url):  # F26
    t = trial(live_url)
    t.subscribe(*[f"/{number}" for number in range(10)])
    t.machines.restart()
    t.write(20).join()
    t.finish("F26 kill -9 while Subscriptions are switched on", kills=1)
    answer, page = Client(t.machines.webs[0]).request("GET", "Subscription")
    assert [entry["resource"]["status"] for entry in page["entry"]] == ["active"] * 10
