"""A real HTTP endpoint on loopback that records what it is sent and behaves as it is told, path by path."""
import socket
import struct
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple


class Arrival(NamedTuple):
    at: float  # time.monotonic()
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes
    peer: tuple
    answers: list  # status codes, as far as any was sent


class Receiver:
    """Answers 200 until told otherwise: ``receiver.behave("/a", status(500), status(200))``; the last one stays.

    :param context: of ssl: it speaks TLS
    """

    def __init__(self, host="127.0.0.1", context=None):
        self.arrivals = []
        self._behaviours = defaultdict(lambda: [status(200)])
        self._arrived = threading.Condition()
        self.closing = threading.Event()
        self._server = _Server((host, 0), _Handler)
        self._server.receiver, self._scheme = self, "https" if context else "http"
        if context:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()

    def url(self, path="/", host="127.0.0.1"):
        return f"{self._scheme}://{host}:{self.port}{path}"

    def behave(self, path, *behaviours):
        self._behaviours[path] = list(behaviours)

    def at(self, path):
        """What has arrived at one path."""
        with self._arrived:
            return [arrival for arrival in self.arrivals if arrival.path == path]

    def wait(self, count, path=None, timeout_s=60.0):
        """The arrivals, once there are ``count`` of them; those there are when the time is over."""
        deadline = time.monotonic() + timeout_s
        with self._arrived:
            while True:
                found = [arrival for arrival in self.arrivals if path in (None, arrival.path)]
                left = deadline - time.monotonic()
                if len(found) >= count or left <= 0:
                    return found
                self._arrived.wait(left)

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._arrived:
            handler.answers = []
            self.arrivals.append(Arrival(time.monotonic(), handler.command, handler.path, headers, body,
                                         handler.client_address, handler.answers))
            behaviours = self._behaviours[handler.path]
            behaviour = behaviours.pop(0) if len(behaviours) > 1 else behaviours[0]
            self._arrived.notify_all()
        behaviour(handler)


def status(code, headers=(), body=b""):
    def answer(handler):
        handler.send_response(code)
        for name, value in headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)
    return answer


def redirect(url):
    return status(307, [("Location", url)])


def hang(seconds=60.0):
    """Answers nothing."""
    def answer(handler):
        handler.close_connection = True
        handler.server.receiver.closing.wait(seconds)
    return answer


def slow(seconds, then=status(200)):
    def answer(handler):
        handler.server.receiver.closing.wait(seconds)
        then(handler)
    return answer


def drip(text=b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000, pause_s=0.1):
    """A byte at a time."""
    def answer(handler):
        handler.close_connection = True
        for position in range(len(text)):
            handler.wfile.write(text[position:position + 1])
            if handler.server.receiver.closing.wait(pause_s):
                return
    return answer


def reset(after=b""):
    """Cuts the connection with RST, after these bytes."""
    def answer(handler):
        handler.wfile.write(after)
        if after:
            time.sleep(0.05)
        handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        handler.close_connection = True
        handler.connection.close()
    return answer


def endless(code=200, chunk=b"x" * 65536):
    """A body without end."""
    def answer(handler):
        handler.close_connection = True
        handler.send_response(code)
        handler.end_headers()
        while not handler.server.receiver.closing.is_set():
            handler.wfile.write(chunk)
    return answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers = []

    def _take(self):
        try:
            self.server.receiver.take(self)
        except OSError:  # the sender has gone, as it should when this misbehaves
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = _take

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def log_request(self, code="-", size="-"):
        self.answers.append(int(code))

    def log_message(self, *_):
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass
