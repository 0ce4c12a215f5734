"""``make bench``, last part: notifications per second to one and to 200 endpoints, and what hanging ones cost.

Beside each rate stands that of the same HTTP client posting the same bodies in a bare loop, one in flight to each
endpoint as well. Worker, PostgreSQL or SQLite, and receiver, a process of its own, share this machine.
"""
import asyncio
import json
import statistics
import sys
import tempfile
import time
import urllib.request
from concurrent.futures import Future
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import ending
from databases import migrated, own_postgresql
from live import Client, Live, subscription
from pipeline import Pipeline, observation
from receiver import Receiver, hang

from fhirsub.config import Config
from fhirsub.delivery.egress import Egress, Request

RUNS = 3
NOTIFICATIONS = {1: 1000, 200: 3000}  # per run, by number of endpoints
BARE = 6000                             # per run of the bare loop
LONGEST_S = 120                         # for a run
HANGING = 64
PER_SECOND, SECONDS = 50, 6  # per run
FHIR = "application/fhir+json"
SETTINGS = {"HOST": "127.0.0.1", "HOST_RATE": "0"}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Times(asyncio.Protocol):
    """Answers 200 to each POST and counts them; a GET tells how many there were, and the first and last time."""

    arrived = []

    def connection_made(self, transport):
        self.transport, self.heard = transport, b""

    def data_received(self, data):
        self.heard += data
        while b"\r\n\r\n" in self.heard:
            head, _, rest = self.heard.partition(b"\r\n\r\n")
            told = head.lower().partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0]
            length = int(told or 0)
            if len(rest) < length:
                return
            self.heard = rest[length:]
            self.transport.write(self.answer(head))

    def answer(self, head):
        if head.startswith(b"POST"):
            self.arrived.append(time.monotonic())
            return OK
        body = json.dumps([len(self.arrived), *self.arrived[:1], *self.arrived[-1:]]).encode()
        self.arrived.clear()
        return OK.replace(b": 0", b": %d" % len(body)) + body


async def receive():
    server = await asyncio.get_running_loop().create_server(Times, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def rate(url, count):
    """Per second, once so many have arrived."""
    times, deadline = [], time.monotonic() + LONGEST_S
    while sum(arrived for arrived, *_ in times) < count:
        assert time.monotonic() < deadline, f"{sum(arrived for arrived, *_ in times)} of {count} in {LONGEST_S} s"
        time.sleep(0.5)
        with urllib.request.urlopen(url) as answer:
            arrived, *moments = json.load(answer)
        times += [(arrived, *moments)] if arrived else []
    return (count - 1) / (times[-1][2] - times[0][1])


def bare(url, endpoints):
    """The egress alone: each endpoint's next request as soon as its last is answered."""
    body, egress = json.dumps(observation(id="bare")).encode(), Egress(Config(SETTINGS, {}))
    left = {number: BARE // endpoints for number in range(endpoints)}

    def send(number, _):
        if left[number]:
            left[number] -= 1
            request = Request("POST", f"{url}/{number}", [("Content-Type", FHIR)], body)
            egress.submit(request).add_done_callback(lambda done: send(number, done))

    for number in range(endpoints):
        send(number, Future())
    found = rate(url, BARE)
    egress.close()
    return found


class Worker(Live):
    """``fhirsub worker`` alone."""

    def start(self):
        return super().start("worker")


def delivered(url, endpoints, database_url, folder):
    """A worker and a matched backlog."""
    with migrated(database_url) as database:
        made = Pipeline(database)
        made.clock.now = datetime.now(timezone.utc)
        for number in range(endpoints):
            made.subscribe("Observation", id=f"s{number}", channel={"type": "rest-hook", "payload": FHIR,
                                                                    "endpoint": f"{url}/{number}"})
        for _ in range(NOTIFICATIONS[endpoints] // endpoints):
            made.write(observation())
        made.match()
    with Worker(database_url, folder, **SETTINGS):
        return rate(url, NOTIFICATIONS[endpoints])


def rates(url, server, folder):
    """To one endpoint and to many, beside the bare loop.

    :param server: PostgreSQL; each run has a database of its own
    """
    for endpoints in NOTIFICATIONS:
        alone, found = [], {"sqlite": [], "postgresql": []}
        for run in range(RUNS):
            name = f"to{endpoints}x{run}"
            server.psql(f"CREATE DATABASE {name}")
            alone.append(bare(url, endpoints))
            found["sqlite"].append(delivered(url, endpoints, f"sqlite:///{folder}/{name}.db", folder))
            found["postgresql"].append(delivered(url, endpoints, server.get_uri(name), folder))
        loop = statistics.median(alone)
        print(f"{f'bare loop to {endpoints} endpoints':<52} {loop:8.0f} notifications/s", flush=True)
        for kind, by_run in found.items():
            ours = statistics.median(by_run)
            print(f"{f'worker to {endpoints} endpoints, {kind}':<52} {ours:8.0f} notifications/s   "
                  f"{ours / loop:.2f} of the bare loop", flush=True)


def write_times(folder, hanging):
    """Ms of each write that matches as many Subscriptions as endpoints hang."""
    times = []
    with Receiver() as receiver, Live(f"sqlite:///{folder}/hanging.db", folder) as live:
        receiver.behave("/hang", hang())
        client = Client(live)
        for _ in range(hanging):
            client.create(subscription("Observation", type="rest-hook", endpoint=receiver.url("/hang")))
        began = time.monotonic()
        for number in range(PER_SECOND * SECONDS):
            time.sleep(max(0, began + number / PER_SECOND - time.monotonic()))
            sent = time.monotonic()
            client.create(observation())
            times.append((time.monotonic() - sent) * 1000)
    return times


def writes(folder):
    """What writes feel of endpoints that hang."""
    times = {0: [], HANGING: []}
    for _ in range(RUNS):
        for hanging, found in times.items():
            found += write_times(tempfile.mkdtemp(dir=folder), hanging)
    for hanging, found in times.items():
        what = f"write with {hanging} hanging endpoints, {PER_SECOND} writes/s"
        print(f"{what:<52} p99 {sorted(found)[int(len(found) * 0.99)]:6.1f} ms", flush=True)


def main():
    ending.on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        with own_postgresql() as server, ending.running(__file__, "receive") as port:
            rates(f"http://127.0.0.1:{port}", server, folder)
        writes(folder)


if __name__ == "__main__":
    asyncio.run(receive()) if sys.argv[1:] == ["receive"] else main()
