"""The harness is proved: servers with a fault of the usual kinds are found out, one without is not."""
from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import stub
from ledger import Write
from live import Live
from machines import Machines
from receiver import Receiver, redirect, status
from trial import Trial
from verdict import Delivery, Verdict, judge

FOUND = {  # fault: the count that gives it away
    "none": None, "queue in memory": "lost", "enqueue after the answer": "lost", "mark before send": "lost",
    "current version": "lost", "send before commit": "phantom", "follow redirects": "phantom", "no order": "unordered"}


class StubLive(Live):
    """The stub in a process of its own."""

    def __init__(self, fault, folder):
        super().__init__(f"sqlite:///{folder}/stub.db", folder)
        self.fault = fault

    def start(self, command="serve"):
        arguments = [sys.executable, Path(stub.__file__), self.fault, str(self.port), self.folder / "stub.db"]
        self.process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout.readline()
        return self


class StubMachines(Machines):
    """A server that is one stub."""

    def __init__(self, fault, folder):
        super().__init__(f"sqlite:///{folder}/stub.db", folder, web=0)
        self.webs = [StubLive(fault, folder)]

    def idle(self):
        with closing(sqlite3.connect(self.folder / "stub.db")) as database:
            return database.execute("SELECT count(*) FROM waiting").fetchone() == (0,)


@pytest.mark.parametrize("fault", stub.FAULTS)
def test_fault_of_a_server_is_found(tmp_path, fault):
    with Receiver() as receiver, StubMachines(fault, tmp_path) as machines:
        t = Trial(machines, receiver, print)
        t.subscribe("/a")
        if fault == "follow redirects":
            receiver.behave("/a", redirect(receiver.url("/elsewhere")), status(200))
        else:
            receiver.behave("/a", status(503))
        t.write(120)
        t.writers[0].join()
        if fault != "send before commit":
            receiver.wait(1)
            machines.restart(pause_s=0)
        receiver.behave("/a", status(200))
        if fault in ("send before commit", "none"):
            t.wait(lambda: t.accepted("/a") >= 96, "everything is sent")
        verdict = t.judge()
    assert getattr(verdict, FOUND[fault]) if FOUND[fault] else not any(verdict), verdict


COMMITTED = {f"o/{number}": {"status": "final", "identifier": [{"value": f"m{number}"}]} for number in (1, 2)}
LEDGER = [Write("o/1", "m1", 1.0, 1.5), Write("o/2", "m2", 2.0, 2.5)]


def arrived(*versions, path="/a", accepted=True):
    return [Delivery(3.0 + at, path, version, f"m{version[2:]}", 0, accepted) for at, version in enumerate(versions)]


@pytest.mark.parametrize("deliveries, verdict", [
    (arrived("o/1", "o/2"), Verdict(0, 0, 0, 0)),
    (arrived("o/1"), Verdict(1, 0, 0, 0)),
    (arrived("o/1") + arrived("o/2", accepted=False), Verdict(1, 0, 0, 0)),
    (arrived("o/1", "o/2", "o/1"), Verdict(0, 1, 0, 0)),
    (arrived("o/2", "o/1"), Verdict(0, 0, 1, 0)),
    (arrived("o/1", "o/2", "o/3"), Verdict(0, 0, 0, 1)),
    (arrived("o/1", "o/2") + arrived("o/1", path="/b"), Verdict(0, 0, 0, 1)),
    (arrived("o/1") + [Delivery(4.0, "/a", "o/2", "m1", 2, True)], Verdict(0, 0, 0, 1)),
    ([Delivery(4.0, "/a", "o/1", "m1", 2, True), Delivery(5.0, "/a", "o/2", "m2", 1, True)], Verdict(0, 0, 2, 0)),
])
def test_judge_counts(deliveries, verdict):
    assert judge(LEDGER, COMMITTED, deliveries, ["/a"]) == verdict


def test_judge_counts_what_was_acknowledged_and_is_gone():
    assert judge(LEDGER, {"o/1": COMMITTED["o/1"]}, arrived("o/1"), ["/a"]).lost == 1


def test_judge_counts_what_was_sent_while_nothing_ran():
    assert judge(LEDGER, COMMITTED, arrived("o/1", "o/2"), ["/a"], down=[(2.9, 3.5)]).phantom == 1
