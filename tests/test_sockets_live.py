"""Websockets of whole servers: several processes on one database, a crowd that is sent away and comes back."""
import re
import resource
import time
from pathlib import Path

import pytest
import websocket
from bench.sockets import bind, hear
from live import Client, Live, observation, subscription

CLIENTS = 200
GOING_AWAY = "the server goes away; bind again later"


def connect(live, id, within_s=60):
    """A bound socket; tried again until the matcher, in whatever process, has met the Subscription."""
    end = time.monotonic() + within_s
    while True:
        try:
            client = websocket.create_connection(live.websocket_url, timeout=30)
            client.send(f"bind {id}")
            if client.recv() == f"bound {id}":
                return client
            client.close()
        except websocket.WebSocketBadStatusException:
            pass  # the socket that was closed just now may still count
        assert time.monotonic() < end, "it was not bound"
        time.sleep(0.2)


def test_sockets_of_every_process_are_pinged(live_url, tmp_path):
    with Live(live_url, tmp_path) as one, Live(live_url, tmp_path) as other:
        id = Client(one).create(subscription("Observation?code=718-7", type="websocket"))["id"]
        clients = [connect(live, id) for live in (one, other)]
        for writer in (one, other):
            Client(writer).create(observation())
            assert [client.recv() for client in clients] == 2 * [f"ping {id}"]
        one.kill()
        Client(other).create(observation())  # also if it was the matcher's process
        assert clients[1].recv() == f"ping {id}"


def test_crowd_is_sent_away_by_a_stop_and_comes_back_all_at_once(sqlite_url, tmp_path):
    live = Live(sqlite_url, tmp_path)
    with live:
        id = Client(live).create(subscription("Observation?code=718-7", type="websocket"))["id"]
        connect(live, id).close()
        clients = bind(live, CLIENTS * [id])
        assert live.stop() == 0
        for client in clients:
            hear(client, GOING_AWAY)
        live.start()
        clients = bind(live, CLIENTS * [id])
        Client(live).create(observation())
        for client in clients:
            hear(client, f"ping {id}")


def test_socket_over_the_limit_is_told_when_to_come_back(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path, WEBSOCKET_CONNECTIONS=2) as live:
        clients = [websocket.create_connection(live.websocket_url, timeout=30) for _ in range(2)]
        with pytest.raises(websocket.WebSocketBadStatusException) as refused:
            websocket.create_connection(live.websocket_url, timeout=30)
        assert refused.value.status_code == 503 and 1 <= int(refused.value.resp_headers["retry-after"]) <= 10
        assert b"OperationOutcome" in refused.value.resp_body
        clients[0].close()
        id = Client(live).create(subscription("Observation?code=718-7", type="websocket"))["id"]
        assert connect(live, id).connected


def test_server_may_open_as_many_files_as_the_system_lets_it(sqlite_url, tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with Live(sqlite_url, tmp_path) as live:
            limits = Path(f"/proc/{live.process.pid}/limits").read_text()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert re.search(r"Max open files +(\d+)", limits)[1] == str(hard)
