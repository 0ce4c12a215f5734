"""The wire: two ends of a real connection."""
import socket
import threading
import time

import pytest

from fhirsub.web import wire
from fhirsub.web.wire import Wire


@pytest.fixture
def ends():
    """A connected pair: (ours, the peer's), with small buffers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        peer = socket.socket()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.connect(listener.getsockname())
        ours, _ = listener.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, peer:
        yield ours, peer


def test_send_from_two_threads_never_mixes_frames(ends):
    ours, peer = ends
    made = Wire(ours, 5)
    frames = [10_000 * b"a", 10_000 * b"b"]
    threads = [threading.Thread(target=lambda frame=frame: [made.send(frame) for _ in range(20)]) for frame in frames]
    for thread in threads:
        thread.start()
    peer.settimeout(5)
    for _ in range(40):
        got = b""
        while len(got) < 10_000:
            got += peer.recv(10_000 - len(got))
        assert got in frames
    for thread in threads:
        thread.join()


def test_send_ends_the_connection_when_the_peer_takes_nothing(ends, monkeypatch):
    monkeypatch.setattr(wire, "SEND_S", 0.3)
    ours, _ = ends
    made = Wire(ours, 5)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        made.send(10_000_000 * b"x")
    assert time.monotonic() - started < 8
    with pytest.raises(OSError):
        made.send(b"x")
    assert made.recv(1) == b""


def test_recv_finds_a_silent_peer_dead(ends):
    with pytest.raises(TimeoutError):
        Wire(ends[0], 0.1).recv(1)


def test_recv_ends_the_connection_when_nobody_hears_what_came(ends):
    ours, peer = ends
    made = Wire(ours, 5)
    peer.sendall(b"more")
    made.flooded = lambda: True
    assert made.recv(4) == b""


def test_close_lets_the_peer_read_the_last_frame_and_says_so(ends):
    ours, peer = ends
    closed = threading.Event()
    made = Wire(ours, 5)
    made.closed = closed.set
    peer.sendall(3000 * b"unread")
    made.send(b"goodbye")
    threading.Thread(target=made.close).start()
    assert peer.recv(100) == b"goodbye" and peer.recv(100) == b""
    peer.close()
    assert closed.wait(2)


def test_close_waits_no_longer_than_it_lingers(ends, monkeypatch):
    monkeypatch.setattr(wire, "LINGER_S", 0.2)
    started = time.monotonic()
    Wire(ends[0], 5).close()
    assert time.monotonic() - started < 8
