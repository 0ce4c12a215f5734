"""``make bench``, first part: writes per second, and the time from a write's 201 to its notification; medians of 5 runs.

Everything runs on this machine: the server in a process of its own, its SQLite database in a temporary folder, the
clients and the receivers in this process. The floor is the same web server doing one SQLite insert per POST.
"""
import queue
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import ending
from live import Client, Live, free_port, observation, subscription
from receiver import Receiver
from simple_websocket import Client as WebSocket
from simple_websocket import ConnectionClosed

RUNS = 5
WRITES = 1000      # per run, by CLIENTS connections
CLIENTS = 4
PER_SECOND = 50    # for the latency
SECONDS = 6
CODE = "http://loinc.org|718-7"


def writes_per_second(live, path="Observation"):
    def write():
        client = Client(live)
        for _ in range(WRITES // CLIENTS):
            status, _ = client.request("POST", path, observation(subject={"reference": "Patient/1"}))
            assert status == 201, status

    threads = [threading.Thread(target=write) for _ in range(CLIENTS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return WRITES / (time.perf_counter() - began)


def latencies(live, arrived_at):
    """Milliseconds from each 201 to its notification, at PER_SECOND writes a second.

    :param arrived_at: called with 0, 1, 2…; waits for that notification and returns its time
    """
    client, times = Client(live), []
    began = time.monotonic()
    for number in range(PER_SECOND * SECONDS):
        time.sleep(max(0, began + number / PER_SECOND - time.monotonic()))
        client.create(observation())
        answered = time.monotonic()
        times.append(max(0, arrived_at(number) - answered) * 1000)
    return times


def rest_hook(live):
    with Receiver() as receiver:
        Client(live).create(subscription(f"Observation?code={CODE}", type="rest-hook", endpoint=receiver.url("/bench")))
        return latencies(live, lambda number: receiver.wait(number + 1)[number].at)


def websocket(live):
    made, arrivals = Client(live).create(subscription(f"Observation?code={CODE}", type="websocket")), queue.Queue()
    socket = WebSocket.connect(live.websocket_url)
    socket.send(f"bind {made['id']}")
    assert socket.receive() == f"bound {made['id']}"

    def listen():
        try:
            while socket.receive():
                arrivals.put(time.monotonic())
        except ConnectionClosed:
            pass

    threading.Thread(target=listen, daemon=True).start()
    times = latencies(live, lambda number: arrivals.get(timeout=10))
    socket.close()
    return times


def floor():
    """The same web server, the same JSON and database: POST, decode, one insert, commit, 201."""
    from gevent import monkey
    monkey.patch_all()
    from flask import Flask, request
    from sqlalchemy import insert

    from fhirsub.fhir import json
    from fhirsub.serving import listen
    from fhirsub.store.database import Database
    from fhirsub.store.migrate import upgrade
    from fhirsub.store.tables import secret_header
    from gevent.pywsgi import WSGIServer
    database, app, count = Database(sys.argv[2]), Flask("floor"), iter(range(10**9))
    upgrade(database)

    @app.post("/fhir/Observation")
    def create():
        resource = json.decode(request.get_data())
        with database.write() as tx:
            tx.execute(insert(secret_header).values(subscription_id=str(next(count)), name="floor",
                                                    value=json.encode(resource).decode()))
        return json.encode(resource), 201

    listener = listen("127.0.0.1", int(sys.argv[3]))
    print("ready", flush=True)
    WSGIServer(listener, app, log=None).serve_forever()


def floor_per_second(folder):
    class Floor:
        port = free_port()
    with ending.running(__file__, "floor", f"sqlite:///{folder}/floor.db", Floor.port):
        return statistics.median(writes_per_second(Floor) for _ in range(RUNS))


def show(what, times):
    times = sorted(times)
    print(f"{what:<52} p50 {times[len(times) // 2]:6.1f} ms   p99 {times[int(len(times) * 0.99)]:6.1f} ms", flush=True)


def main():
    ending.on_sigterm()
    with tempfile.TemporaryDirectory() as folder:
        floor_rate = floor_per_second(folder)
        print(f"{'floor: same server, one SQLite insert per POST':<52} {floor_rate:8.0f} writes/s", flush=True)
        with Live(f"sqlite:///{folder}/none.db", folder) as live:
            rate = statistics.median(writes_per_second(live) for _ in range(RUNS))
            print(f"{'no subscriptions':<52} {rate:8.0f} writes/s   {rate / floor_rate:.2f} of the floor", flush=True)
        with Live(f"sqlite:///{folder}/three.db", folder) as live, Receiver() as receiver:
            for number in range(3):
                Client(live).create(subscription(f"Observation?code={CODE}", type="rest-hook",
                                                 endpoint=receiver.url(f"/{number}")))
            rate = statistics.median(writes_per_second(live) for _ in range(RUNS))
            print(f"{'3 matching rest-hook subscriptions':<52} {rate:8.0f} writes/s   {rate / floor_rate:.2f} of the floor",
                  flush=True)
        for name, measure in (("rest-hook", rest_hook), ("websocket", websocket)):
            runs = []
            for run in range(RUNS):
                with Live(f"sqlite:///{folder}/{name}{run}.db", folder) as live:
                    runs += measure(live)
            show(f"201 → {name} notification, {PER_SECOND} writes/s", runs)


if __name__ == "__main__":
    floor() if sys.argv[1:2] == ["floor"] else main()
