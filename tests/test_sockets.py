"""Real clients on real sockets, on each server that the websocket must work on."""
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import requests
import websocket
from flask import Blueprint
from sqlalchemy import update
from werkzeug.serving import make_server

import socket_server
from event_log import subscribe
from fhirsub.config import Config
from fhirsub.store.database import Database
from fhirsub.store.tables import subscription
from fhirsub.web.sockets import register

PATIENCE_S = 20.0  # for what must come
QUIET_S = 0.2      # no more comes when so long nothing came
SERVERS = ["werkzeug", "gthread", "gevent", "gevent+postgresql"]


class Served:
    """A running server, the database it uses, and clients of it."""

    def __init__(self, database, port):
        self.database, self.url, self.clients = database, f"http://127.0.0.1:{port}", []

    def subscribe(self, **state):
        id = str(uuid.uuid4())
        with self.database.write() as tx:
            subscribe(tx, id, **state)
        return id

    def happen(self, id, count=1):
        requests.post(f"{self.url}/happen/{id}", params={"count": count}, timeout=PATIENCE_S).raise_for_status()

    def switch_off(self, id, **values):
        with self.database.write() as tx:
            tx.execute(update(subscription).where(subscription.c.id == id).values(**values or {"active": False}))

    def connect(self, *ids, **options):
        client = websocket.create_connection(f"{self.url.replace('http', 'ws')}/fhir/websocket",
                                             timeout=PATIENCE_S, **options)
        self.clients.append(client)
        for id in ids:
            client.send(f"bind {id}")
            assert client.recv() == f"bound {id}"
        return client

    def open(self):
        return requests.get(f"{self.url}/open", timeout=PATIENCE_S).json()


@pytest.fixture
def server(running):
    """A server without open sockets, before and after."""
    yield running
    while running.clients:
        running.clients.pop().shutdown()
    assert until(lambda: running.open()["sockets"] == 0)


@pytest.fixture(scope="module", params=SERVERS)
def running(request, tmp_path_factory, sqlite_template):
    kind, _, other = request.param.partition("+")
    if other:
        url = request.getfixturevalue("migrated_postgresql")
    else:
        path = tmp_path_factory.mktemp("sockets") / "fhirsub.db"
        shutil.copy(sqlite_template, path)
        url = f"sqlite:///{path}"
    database = Database(url)
    with (werkzeug_server if kind == "werkzeug" else process)(kind, database) as port:
        yield Served(database, port)
    database.dispose()


class werkzeug_server:
    """Threads in this process."""

    def __init__(self, kind, database):
        self.server = make_server("127.0.0.1", 0, socket_server.application(database), threaded=True)
        self.server.daemon_threads = True
        socket_server.keep_little(self.server.socket)

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self.server.port

    def __exit__(self, *error):
        self.server.shutdown()


class process:
    """A server of its own; what it says on stderr is shown when a test fails."""

    def __init__(self, kind, database):
        self.process = subprocess.Popen([sys.executable, Path(__file__).with_name("socket_server.py"), kind, database.url],
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return int(self.process.stdout.readline())

    def __exit__(self, *error):
        self.process.terminate()
        self.process.wait(10)


def until(true, within_s=PATIENCE_S):
    """Whether something becomes true in time."""
    end = time.monotonic() + within_s
    while not true():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def said(client, count=1):
    """What the server says: so many messages, and whatever follows at once; None at the end: it closed the socket."""
    messages, end = [], time.monotonic() + (PATIENCE_S if count else QUIET_S)
    try:
        while (left := end - time.monotonic()) > 0:
            client.settimeout(left)
            opcode, data = client.recv_data(control_frame=True)  # which answers a ping frame
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                return [*messages, None]
            if opcode == websocket.ABNF.OPCODE_TEXT:
                messages.append(data.decode())
                end = time.monotonic() + QUIET_S if len(messages) == count else end
    except websocket.WebSocketTimeoutException:
        pass
    except (websocket.WebSocketException, OSError):
        messages.append(None)
    return messages


def close_code(client):
    """The code that the server closes the socket with; other messages are passed over."""
    return int.from_bytes(close_frame(client)[:2], "big")


def close_reason(client):
    return close_frame(client)[2:].decode()


def close_frame(client):
    client.settimeout(PATIENCE_S)
    while True:
        opcode, data = client.recv_data()
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return data


def test_bind_is_answered_and_each_event_pings(server):
    id = server.subscribe()
    client = server.connect(id)
    server.happen(id)
    assert said(client) == [f"ping {id}"]
    server.happen(id, 3)
    assert said(client, 3) == 3 * [f"ping {id}"]


def test_ping_comes_within_milliseconds(server):
    id = server.subscribe()
    client = server.connect(id)
    took = []
    for _ in range(9):
        server.happen(id)
        started = time.monotonic()
        client.recv()
        took.append(time.monotonic() - started)
    assert sorted(took)[4] < 0.1


def test_many_binds_share_a_socket_and_many_sockets_a_subscription(server):
    a, b = server.subscribe(), server.subscribe()
    both, one = server.connect(a, b), server.connect(b)
    server.happen(a)
    assert (said(both), said(one, 0)) == ([f"ping {a}"], [])
    server.happen(b)
    assert (said(both), said(one)) == ([f"ping {b}"], [f"ping {b}"])


def test_rebind_pings_once_for_what_was_missed_and_then_no_more(server):
    id = server.subscribe()
    server.connect(id).close()
    server.happen(id, 4)
    client = server.connect(id)
    assert said(client) == [f"ping {id}"]
    client.close()
    assert said(server.connect(id), 0) == []


def test_bind_again_on_the_same_socket_is_answered_without_a_ping(server):
    id = server.subscribe()
    client = server.connect(id)
    server.happen(id)
    assert said(client) == [f"ping {id}"]
    client.send(f"bind Subscription/{id}")
    assert said(client) == [f"bound {id}"]


def test_refusals_are_alike_and_none_comes_sooner(server):
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    states = [server.subscribe(active=False), server.subscribe(push=True), server.subscribe(ends_at=past), "unknown"]
    good = server.subscribe()
    client = server.connect(good)
    began = time.monotonic()
    for id in states:
        client.send(f"bind {id}")
    answers, times = zip(*[(client.recv(), time.monotonic()) for _ in states])
    assert sorted(answers) == sorted(f"error bind {id}: no such active websocket subscription" for id in states)
    assert min(times) - began >= socket_server.tail.GRACE_S  # none is known sooner than one that may still come
    server.happen(good)
    assert said(client) == [f"ping {good}"]


def test_third_unknown_command_closes(server):
    client = server.connect()
    for _ in range(2):
        client.send("hello")
        assert client.recv().startswith("error: expected 'bind ID'")
    client.send("hello")
    assert close_code(client) == 1008


def test_binary_message_closes(server):
    client = server.connect()
    client.send_binary(b"bind 1")
    assert close_code(client) == 1003


@pytest.mark.parametrize("size", [257, 200_000])
def test_long_message_closes(server, size):
    client = server.connect()
    try:
        client.send("bind " + size * "x")
    except OSError:
        pass  # it was closed while we spoke
    assert close_code(client) == 1009


def test_long_message_of_few_characters_closes(server):
    client = server.connect()
    client.send("bind " + 100 * "\u20ac")
    assert close_code(client) == 1009


def test_one_bind_too_many_is_refused(server):
    ids = [server.subscribe() for _ in range(6)]
    client = server.connect(*ids[:5])
    client.send(f"bind {ids[5]}")
    assert client.recv() == f"error bind {ids[5]}: at most 5 subscriptions on one socket"
    server.happen(ids[0])
    assert said(client) == [f"ping {ids[0]}"]


@pytest.mark.parametrize("count", [300, 3000])
def test_flood_of_messages_closes(server, count):
    client = server.connect()
    client.sock.sendall(b"".join(websocket.ABNF.create_frame("bind x", websocket.ABNF.OPCODE_TEXT).format()
                                 for _ in range(count)))
    assert close_code(client) == 1008


def test_address_that_guesses_ids_is_closed_unless_it_has_bound_one(server):
    """Ten refusals a minute, here five on one socket at once; other addresses are let alone."""
    def connect(address, *bound):
        port = int(server.url.rpartition(":")[2])
        return server.connect(*bound, socket=socket.create_connection(("127.0.0.1", port), source_address=(address, 0)))

    def guess(client, count):
        for _ in range(count):
            client.send(f"bind {uuid.uuid4()}")
        return [client.recv()[:10] for _ in range(count)]

    for _ in range(2):
        assert guess(connect("127.0.0.2"), 5) == 5 * ["error bind"]
    guesser = connect("127.0.0.2")
    assert guess(guesser, 1) == ["error bind"] and close_reason(guesser) == "too many binds refused"
    honest = connect("127.0.0.2", server.subscribe())
    assert guess(honest, 4) + guess(honest, 4) == 8 * ["error bind"]
    assert guess(honest, 2) == 2 * ["error bind"] and close_reason(honest) == "too many binds refused"
    assert guess(connect("127.0.0.3"), 1) == ["error bind"]


@pytest.mark.parametrize("origin", [
    "https://evil.example.org", "http://127.0.0.1:1", "null", "https://app.example.org.evil.org"])
def test_page_of_another_origin_is_refused(server, origin):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        server.connect(origin=origin)
    assert refused.value.status_code == 403 and b"WEBSOCKET_ORIGINS" in refused.value.resp_body


@pytest.mark.parametrize("options", [{"suppress_origin": True}, {"origin": "https://app.example.org"}, {}])
def test_page_of_this_host_or_a_listed_origin_and_no_page_at_all_are_let_in(server, options):
    server.connect(server.subscribe(), **options)  # {}: the client gives the host it connects to


@pytest.mark.parametrize("origins", ["app.example.org", "https://app.example.org/", "https://App.example.org"])
def test_origins_that_no_page_can_have_are_refused_at_the_start(origins):
    with pytest.raises(ValueError, match="FHIRSUB_WEBSOCKET_ORIGINS"):
        register(Blueprint("fhir", __name__), None, Config({"WEBSOCKET_ORIGINS": origins}, {}))


def test_socket_that_binds_nothing_is_closed(server):
    client = server.connect()
    started = time.monotonic()
    assert close_code(client) == 1008
    assert time.monotonic() - started > socket_server.SETTINGS["WEBSOCKET_IDLE_S"] - 0.5


def test_bound_socket_stays_open_by_answering_pings(server):
    id = server.subscribe()
    client = server.connect(id)
    for _ in range(4):
        opcode, _ = client.recv_data(control_frame=True)  # which answers it
        assert opcode == websocket.ABNF.OPCODE_PING
    server.happen(id)
    assert said(client) == [f"ping {id}"]


def test_peer_that_answers_no_ping_is_freed(server):
    id = server.subscribe()
    server.connect(id)
    assert server.open()["sockets"] == 1
    assert until(lambda: server.open()["sockets"] == 0)  # it does not read, so it does not answer
    server.happen(id)
    assert said(server.connect(id)) == [f"ping {id}"]


@pytest.mark.parametrize("values", [{"active": False}, {"ends_at": datetime(2020, 1, 1, tzinfo=timezone.utc)}])
def test_switched_off_subscription_is_told_and_the_last_one_closes(server, values):
    a, b = server.subscribe(), server.subscribe()
    client = server.connect(a, b)
    server.switch_off(a, **values)
    client.settimeout(PATIENCE_S)
    assert client.recv() == f"error {a}: this subscription is off"
    server.happen(a)
    server.happen(b)
    assert said(client) == [f"ping {b}"]
    server.switch_off(b, **values)
    assert close_code(client) == 1008


def test_client_that_never_reads_is_closed_and_delays_nobody(server):
    id = server.subscribe()
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    plain.connect(address)
    server.connect(id, socket=plain)
    other = server.subscribe()
    client = server.connect(other)
    for _ in range(6):
        server.happen(id, 900)  # fewer than are merged into one
    server.happen(other)
    assert said(client)[:1] == [f"ping {other}"]
    assert until(lambda: said(client, 0) == [] and server.open()["sockets"] == 1)


def test_compression_is_declined(server):
    id = server.subscribe()
    client = server.connect(id, header=["Sec-WebSocket-Extensions: permessage-deflate"])
    assert "sec-websocket-extensions" not in client.getheaders()


def test_request_without_a_key_is_refused(server):
    answer = requests.get(f"{server.url}/fhir/websocket", timeout=PATIENCE_S,
                          headers={"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"})
    assert answer.status_code >= 400 and "101" not in str(answer.status_code)


def test_sockets_leave_nothing_behind(server):
    id = server.subscribe()

    def come_and_go():
        for _ in range(20):
            server.connect(id).close()
        for client in [server.connect(id) for _ in range(10)]:
            client.shutdown()  # without a word
        assert until(lambda: server.open()["sockets"] == 0)

    come_and_go()
    before = server.open()
    come_and_go()
    assert until(lambda: all(left <= before[what] + 2 for what, left in server.open().items())), server.open()


def test_close_tells_clients_that_the_server_goes_away(server):
    client = server.connect(server.subscribe())
    requests.post(f"{server.url}/close", timeout=PATIENCE_S)
    assert close_code(client) == 1001
