"""Writers that go on through every fault, and the ledger of what was acknowledged to them."""
from __future__ import annotations

import itertools
import threading
import time
from http.client import HTTPException
from typing import NamedTuple

from live import Client, observation

VERSIONS = 3       # of each resource, so that one sent in place of another shows
QUIET_EVERY = 5    # of so many writes one matches no Subscription
MATCHING, QUIET = "final", "preliminary"
PAUSE_S = 0.02     # until a write that was not acknowledged is made again
CRITERIA = f"Observation?status={MATCHING}"


class Write(NamedTuple):
    """A write that was acknowledged.

    :param version: ``"o1-0-7/2"``, id and versionId
    :param began: time.monotonic() before its request
    :param ended: and after its answer
    """

    version: str
    marker: str
    began: float
    ended: float


class Writers:
    """Threads that PUT Observations, each with a marker of its own; a write that fails is made again with another one.

    :param webs: what they write to, one after the other when one fails
    :param per_second: of all together; None: as fast as they are answered
    :ivar refused: ``{status: how many}``; status None: no answer at all
    """

    _sets = itertools.count(1)

    def __init__(self, webs, total, *, count=4, per_second=None):
        self.webs, self.total, self.count, self.per_second = webs, total, count, per_second
        self.name, self.ledger, self.refused = f"o{next(self._sets)}", [], {}
        self._began, self._given_up = time.monotonic(), threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def wait(self, count, timeout_s=120):
        """Until so many writes are acknowledged."""
        deadline = time.monotonic() + timeout_s
        while len(self.ledger) < count:
            assert time.monotonic() < deadline, f"{len(self.ledger)} of {count} writes acknowledged in {timeout_s} s"
            time.sleep(0.01)

    def join(self, timeout_s=300):
        """Until all have written their share."""
        try:
            self.wait(self.total // self.count * self.count, timeout_s)
        finally:
            self._given_up.set()

    def _run(self, number):
        web = itertools.cycle(self.webs[number % len(self.webs):] + self.webs[:number % len(self.webs)])
        client, tries = Client(next(web)), itertools.count()
        for position in range(self.total // self.count):
            self._pace(position)
            while not self._write(client, number, position, next(tries)):
                client.connection.close()
                client = Client(next(web))
                if self._given_up.wait(PAUSE_S):
                    return

    def _write(self, client, number, position, tries):
        id, marker = f"{self.name}-{number}-{position // VERSIONS}", f"{self.name}-{number}-try{tries}"
        status = QUIET if position % QUIET_EVERY == QUIET_EVERY - 1 else MATCHING
        resource = observation(id=id, status=status, identifier=[{"value": marker}])
        began, answer = time.monotonic(), None
        try:
            answer, made = client.request("PUT", f"Observation/{id}", resource)
        except (OSError, HTTPException, ValueError):  # the server is down, or went down: nobody knows
            pass
        if answer not in (200, 201):
            self.refused[answer] = self.refused.get(answer, 0) + 1
            return False
        self.ledger.append(Write(f"{id}/{made['meta']['versionId']}", marker, began, time.monotonic()))
        return True

    def _pace(self, position):
        if self.per_second:
            time.sleep(max(0, self._began + position * self.count / self.per_second - time.monotonic()))
