"""kill -9 in a burst of writes, twice: what was acknowledged arrives, in order. See docs/design.rst, "Never lost"."""
import json
import threading
import time
from collections import Counter

import pytest
from live import Client, Live, observation, subscription
from receiver import Receiver

WRITES, WRITERS, KILLS, SUBSCRIPTIONS = 500, 4, 2, 3
FHIR = "application/fhir+json"


class Burst:
    """Writers that go on through the kills; what was acknowledged is kept in the order of each writer."""

    def __init__(self, live):
        self.live, self.written, self.count = live, [[] for _ in range(WRITERS)], 0
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(WRITERS)]

    def write(self, number):
        client = None
        while len(self.written[number]) < WRITES // WRITERS:
            marker = f"w{number}-{self.count}-{time.monotonic_ns()}"
            try:
                client = client or Client(self.live)
                made = client.create(observation(identifier=[{"value": marker}], subject={"reference": "Patient/kill"}))
                self.written[number].append(f"{made['id']}/{made['meta']['versionId']}")
                self.count += 1
            except (OSError, AssertionError, ValueError):  # the server is down: the write was not acknowledged
                client = None
                time.sleep(0.02)


@pytest.mark.timeout(300)
def test_acknowledged_versions_arrive_in_order_after_kills(tmp_path, live_url, capsys):
    live = Live(live_url, tmp_path, RETRY_SCHEDULE_S="0.2 0.5 1 2 5", RETRY_FLOOR_S="0.2")
    with Receiver() as receiver, live:
        for number in range(SUBSCRIPTIONS):
            Client(live).create(subscription("Observation?subject=Patient/kill", type="rest-hook", payload=FHIR,
                                             endpoint=receiver.url(f"/{number}")))
        burst = Burst(live)
        for thread in burst.threads:
            thread.start()
        for kill in range(1, KILLS + 1):
            wait_until(lambda: burst.count >= kill * WRITES // (KILLS + 1), 60)
            live.kill()
            time.sleep(0.2)
            live.start()
        for thread in burst.threads:
            thread.join(120)
        acknowledged = [version for versions in burst.written for version in versions]
        wait_until(lambda: all(set(acknowledged) <= set(arrived(receiver, number)) for number in range(SUBSCRIPTIONS)), 60)
        lost, twice, unordered = 0, 0, 0
        for number in range(SUBSCRIPTIONS):
            versions = arrived(receiver, number)
            first = {version: position for position, version in reversed(list(enumerate(versions)))}
            lost += len(set(acknowledged) - first.keys())
            twice += sum(count - 1 for count in Counter(versions).values())
            for writer in burst.written:
                positions = [first[version] for version in writer if version in first]
                unordered += sum(a > b for a, b in zip(positions, positions[1:]))
    with capsys.disabled():
        print(f"\n{live_url.split(':')[0]}: {len(acknowledged)} acknowledged versions, {KILLS} kills, {SUBSCRIPTIONS} "
              f"subscriptions: lost {lost}, out of order {unordered}, twice {twice}")
    assert lost == 0 and unordered == 0
    assert twice <= KILLS * SUBSCRIPTIONS  # one was in flight for each


def arrived(receiver, number):
    """``["id/version", …]`` in the order of arrival."""
    bodies = [json.loads(arrival.body) for arrival in receiver.at(f"/{number}")]
    return [f"{body['id']}/{body['meta']['versionId']}" for body in bodies]


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
