"""One fault, tried: subscribe, write, break something, wait until nothing is left to do, judge."""
from __future__ import annotations

import time

import pytest
from ledger import CRITERIA, Writers
from live import Client, subscription
from verdict import delivery, judge

FHIR = "application/fhir+json"
DRAINED_S = 300
KINDS = ("sqlite", "postgresql")


def short_on(kind):
    """A mark for what uses ``live_url``: ``make test`` runs it on this database alone, ``make chaos`` on both."""
    kinds = [each if each == kind else pytest.param(each, marks=pytest.mark.chaos) for each in KINDS]
    return pytest.mark.parametrize("live_url", kinds, indirect=True)


class Trial:
    """A server, a receiver that outlives it, and the Subscriptions between them.

    :param tell: called with the line that says what a fault has cost, and the Verdict
    """

    def __init__(self, machines, receiver, tell):
        self.machines, self.receiver, self.tell = machines, receiver, tell
        self.paths, self.writers = [], []

    def subscribe(self, *paths, **more):
        """One Subscription for each path of the receiver; each gets all that matches."""
        for path in paths:
            Client(self.machines.webs[0]).create(subscription(CRITERIA, type="rest-hook", payload=FHIR,
                                                              endpoint=self.receiver.url(path)) | more)
        self.paths += paths

    def write(self, total, **how):
        """Start :class:`~ledger.Writers`, and return them."""
        self.writers.append(Writers(self.machines.webs, total, **how))
        return self.writers[-1]

    def deliveries(self, path=None):
        """What has arrived so far, at one path."""
        return [delivery(arrival) for arrival in list(self.receiver.arrivals) if path in (None, arrival.path)]

    def accepted(self, path):
        """How many notifications the endpoint has taken."""
        return sum(200 in arrival.answers for arrival in list(self.receiver.arrivals) if arrival.path == path)

    def wait(self, condition, what, timeout_s=DRAINED_S):
        """Until the condition holds; returns the seconds that took."""
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < timeout_s, f"not in {timeout_s} s: {what}\n{self._log()}"
            time.sleep(0.02)
        return time.monotonic() - began

    def judge(self):
        """Wait for the writers and for all that is to be delivered, and count."""
        for writers in self.writers:
            writers.join()
        self.drained_s = self.wait(self.machines.idle, "nothing is left to do")
        return judge([write for writers in self.writers for write in writers.ledger], self.machines.committed(),
                     self.deliveries(), self.paths, self.machines.down)

    def finish(self, fault, *, kills=0, more=""):
        """Judge, print the line, and fail unless only a kill has cost something: one duplicate a Subscription."""
        verdict = self.judge()
        acknowledged = sum(len(writers.ledger) for writers in self.writers)
        tried = f"{fault:<48} {acknowledged:>5} writes {len(self.paths):>2} subscriptions {kills:>2} kills"
        self.tell(f"{tried}: {verdict}; drained in {self.drained_s:.1f} s{'; ' + more if more else ''}", verdict)
        assert (verdict.lost, verdict.unordered, verdict.phantom) == (0, 0, 0), f"{fault}: {verdict}\n{self._log()}"
        assert verdict.duplicated <= kills * len(self.paths), f"{fault}: {verdict}"

    def _log(self):
        log = self.machines.folder / "log"
        return log.read_text()[-3000:] if log.exists() else ""
