"""``make bench``, last part: 10,000 websockets bound in one server, ten to each Subscription.

Prints the seconds until all are bound, the memory of a socket, and the time from a write that matches all Subscriptions
until each socket has its ping. Server and clients share this machine.

    python tests/bench/sockets.py [SOCKETS]
"""
import os
import resource
import selectors
import socket
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import ending
from live import Client, Live, observation, subscription
from websocket import ABNF

SOCKETS = 10_000
SHARED = 10        # sockets of each Subscription
WRITES = 5
WAVE = 200         # connections opened at once
ENTRIES = 500      # Subscriptions in one batch
QUIET_S = 60.0     # no answer for so long: something is wrong
UPGRADE = ("GET /fhir/websocket HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()


def subscribe(live, count):
    """Make ``count`` Subscriptions that ask the same.

    :returns: their ids, once the matcher has met them
    """
    client, ids = Client(live), []
    asked = subscription("Observation?code=718-7", type="websocket")
    while len(ids) < count:
        entries = [{"resource": asked, "request": {"method": "POST", "url": "Subscription"}}
                   for _ in range(min(ENTRIES, count - len(ids)))]
        status, answer = client.request("POST", "", {"resourceType": "Bundle", "type": "batch", "entry": entries})
        assert status == 200, answer
        ids += [entry["response"]["location"].split("/Subscription/")[1].split("/")[0] for entry in answer["entry"]]
    with closing(sqlite3.connect(live.database.removeprefix("sqlite:///"))) as database:
        while database.execute("SELECT count(*) FROM fhirsub_change WHERE NOT matched").fetchone()[0]:
            time.sleep(0.5)
    return ids


def bind(live, ids, answer="bound"):
    """A socket for each id that was bound and has heard this answer."""
    made = []
    for start in range(0, len(ids), WAVE):
        wave = [socket.create_connection(("127.0.0.1", live.port), QUIET_S) for _ in ids[start:start + WAVE]]
        for each in wave:
            each.sendall(UPGRADE)
        for each, id in zip(wave, ids[start:start + WAVE]):
            assert each.recv(4096).startswith(b"HTTP/1.1 101")
            each.sendall(ABNF.create_frame(f"bind {id}", ABNF.OPCODE_TEXT).format())
        made += wave
    for each, id in zip(made, ids):
        hear(each, f"{answer} {id}")
    return made


def hear(sock, text):
    """Read until the server has said this."""
    said = b""
    while text.encode() not in said:
        more = sock.recv(4096)
        assert more, f"closed before {text!r}: {said}"
        said += more


class Ears:
    """All sockets, heard at once."""

    def __init__(self, sockets):
        self._selector = selectors.DefaultSelector()
        for each in sockets:
            self._selector.register(each, selectors.EVENT_READ)
        self._count = len(sockets)

    def pings(self, began):
        """Milliseconds from ``began`` until each socket had its next ping."""
        times = []
        while len(times) < self._count:
            ready = self._selector.select(QUIET_S)
            assert ready, f"{self._count - len(times)} of {self._count} sockets were not pinged"
            for key, _ in ready:
                assert b"ping " in key.fileobj.recv(4096), "the server has closed a socket"
                times.append((time.perf_counter() - began) * 1000)
        return sorted(times)


def memory_kb(live):
    """Resident memory of the server."""
    status = Path(f"/proc/{live.process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0])


def cpu_s(live):
    """Processor time that the server has used."""
    user, system = Path(f"/proc/{live.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def measure(live, count):
    ids = subscribe(live, -(-count // SHARED)) * SHARED
    before_kb, began = memory_kb(live), time.perf_counter()
    sockets = bind(live, ids[:count])
    took_s, each_kb = time.perf_counter() - began, (memory_kb(live) - before_kb) / count
    print(f"{count} websockets bound in {took_s:.1f} s, {each_kb:.1f} kB each", flush=True)
    ears, client, runs, began_cpu_s = Ears(sockets), Client(live), [], cpu_s(live)
    for _ in range(WRITES):
        began = time.perf_counter()
        client.create(observation())
        runs.append(ears.pings(began))
    for what, at in (("half", 0.5), ("99 %", 0.99), ("all", 1)):
        median = statistics.median(times[min(int(count * at), count - 1)] for times in runs)
        print(f"write → {what + ' of the sockets pinged':<32} {median:8.0f} ms", flush=True)
    each_us = (cpu_s(live) - began_cpu_s) / WRITES / count * 1e6
    print(f"processor time of the server: {each_us:.0f} µs a ping", flush=True)
    print(f"memory of the server: {memory_kb(live) / 1024:.0f} MB", flush=True)


def main():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = int(sys.argv[1]) if sys.argv[1:] else min(SOCKETS, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as folder:
        # These clients answer no ping frame.
        with Live(f"sqlite:///{folder}/sockets.db", folder, WEBSOCKET_PING_S=600) as live:
            measure(live, count)


if __name__ == "__main__":
    ending.on_sigterm()
    main()
