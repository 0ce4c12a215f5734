"""Endpoints that misbehave, at a server in a process of its own; tests/test_egress.py has the same one by one."""
import time

import pytest
from live import Client
from receiver import drip, endless, hang, redirect, reset, slow, status
from trial import short_on

chaos = pytest.mark.chaos
GZIP_BOMB = status(200, [("Content-Encoding", "gzip")], b"\x1f\x8b" + b"\0" * 8_000_000)
MIB_KB = 1024
ASKED_S, MINUTE_S = 2, 60


@short_on("sqlite")
@pytest.mark.parametrize("writes", [30, pytest.param(1000, marks=[chaos, pytest.mark.timeout(600)])])
def test_everything_arrives_once_endpoints_behave_again(trial, live_url, writes):  # F4, F6, F7, F9, F10, F11, F12
    t = trial(live_url, ATTEMPT_TIMEOUT_S=1)
    bad = {"/down": status(503), "/error": status(500), "/busy": status(429, [("Retry-After", str(ASKED_S))]),
           "/hang": hang(), "/drip": drip(), "/moved": redirect(t.receiver.url("/elsewhere")), "/endless": endless(500),
           "/cut": reset(), "/half": reset(b"HTTP/1.1 200 OK\r\nContent-"), "/bomb": GZIP_BOMB}
    t.subscribe("/ok", *bad)
    for path, behaviour in bad.items():
        t.receiver.behave(path, behaviour, behaviour, status(200))
    t.write(writes).join()
    t.wait(lambda: t.accepted("/ok") >= writes * 4 // 5, "the one without fault has everything")
    t.finish("F4-F12 endpoints that misbehave")
    busy, again, *_ = t.deliveries("/busy")
    assert again.at - busy.at >= ASKED_S
    assert {resource["status"] for resource in subscriptions(t)} == {"active"}


@chaos
@pytest.mark.timeout(300)
def test_endpoint_is_down_for_a_minute(trial, live_url):  # F4
    t = trial(live_url, RETRY_SCHEDULE_S="0.2 0.5 1 2 5" + 20 * " 10")
    t.subscribe("/a")
    t.receiver.behave("/a", reset())
    down = time.monotonic()
    t.write(100).join()
    t.wait(lambda: {resource["status"] for resource in subscriptions(t)} == {"error"}, "its owner is told")
    time.sleep(max(0, down + MINUTE_S - time.monotonic()))
    t.receiver.behave("/a", status(200))
    t.finish("F4 endpoint down for a minute")
    assert {resource["status"] for resource in subscriptions(t)} == {"active"}


@chaos
def test_410_ends_it(trial, live_url):  # F8
    t = trial(live_url)
    t.subscribe("/ok", "/gone")
    t.receiver.behave("/gone", status(410))
    t.write(30).join()
    t.wait(lambda: "off" in {resource["status"] for resource in subscriptions(t)}, "the Subscription is off")
    t.wait(t.machines.idle, "nothing is left to do")
    assert len(t.deliveries("/gone")) == 1
    t.paths.remove("/gone")
    t.receiver.arrivals[:] = [arrival for arrival in t.receiver.arrivals if arrival.path == "/ok"]
    t.finish("F8 410 Gone")


@chaos
@pytest.mark.timeout(300)
def test_64_hanging_endpoints_cost_others_nothing(trial, live_url):  # F5, F9
    t = trial(live_url, ATTEMPT_TIMEOUT_S=5)
    t.subscribe(*[f"/hang{number}" for number in range(64)], "/slow", "/ok")
    for path in t.paths[:64]:
        t.receiver.behave(path, hang(), status(200))
    t.receiver.behave("/slow", slow(0.2))
    t.write(50).join()
    took_s = t.wait(lambda: t.accepted("/ok") >= 40, "the 66th has everything")
    t.finish("F5, F9 64 hanging endpoints", more=f"the 66th had all {took_s:.1f} s after the last write")


@chaos
@pytest.mark.timeout(300)
def test_answers_without_end_cost_no_memory(trial, live_url):  # F11, I10
    t = trial(live_url, ATTEMPT_TIMEOUT_S=2)
    t.subscribe("/ok", "/endless", "/bomb")
    t.receiver.behave("/bomb", GZIP_BOMB)
    t.write(100).join()
    t.wait(t.machines.idle, "nothing is left to do")
    before_kb = memory_kb(t.machines.webs[0])
    t.receiver.behave("/endless", *[endless(500), endless(200)] * 10, status(200))
    t.write(100)
    t.finish("F11 endless answers and gzip bombs",
             more=f"memory +{(memory_kb(t.machines.webs[0]) - before_kb) / MIB_KB:.1f} MiB")
    assert memory_kb(t.machines.webs[0]) - before_kb < 50 * MIB_KB


def subscriptions(t):
    status, page = Client(t.machines.webs[0]).request("GET", "Subscription")
    assert status == 200, page
    return [entry["resource"] for entry in page["entry"]]


def memory_kb(live):
    """Resident memory of a process."""
    with open(f"/proc/{live.process.pid}/status") as status:
        return int(status.read().split("VmRSS:")[1].split()[0])
