"""Carries hints between the processes on one PostgreSQL, by LISTEN and NOTIFY on a connection of its own.

Spec: https://www.postgresql.org/docs/15/sql-notify.html
"""
from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from .postgresql import completed

CHANNEL = "fhirsub"
NAMES = ("change", "event", "due")

_log = logging.getLogger(__name__)


class Relay:
    """One thread, started by the first who waits or sends; it sleeps in the kernel while nothing is told.

    A writer hands its names over after its commit. NOTIFY inside the writing transaction would make all commits of
    the database queue behind one lock, each with its own flush to disk.

    :ivar hear: called with the names that another process told
    """

    def __init__(self, url: URL):
        self._conninfo = _conninfo(completed(url))
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._outbox: deque[str] = deque()
        self.hear = lambda names: None

    def start(self) -> None:
        """Start the thread unless it runs already."""
        if self._thread is not None:
            return
        with self._starting:
            if self._thread is None:
                self._stopping = False
                self._asleep, self._waker = socket.socketpair()
                self._waker.setblocking(False)
                self._thread = threading.Thread(target=self._run, name="fhirsub-relay", daemon=True)
                self._thread.start()

    def send(self, names) -> None:
        """Have the names told in the other processes, soon; many tells of one name become one."""
        self.start()
        self._outbox.extend(names)
        self._wake()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Send what waits and end the thread; the next who waits or sends starts another."""
        with self._starting:
            if self._thread is None:
                return
            self._stopping = True
            self._wake()
            self._thread.join(timeout_s)
            if not self._thread.is_alive():  # it may hang in an attempt to connect
                self._thread = None

    def _wake(self) -> None:
        try:
            self._waker.send(b"!")
        except BlockingIOError:
            pass  # it has plenty to wake up for

    def _run(self) -> None:
        pause_s = 0.1
        while self._outbox or not self._stopping:
            try:
                with psycopg.connect(self._conninfo, autocommit=True) as connection:
                    pause_s = 0.1
                    self._converse(connection)
            except psycopg.Error as error:
                if self._stopping:
                    return
                _log.warning("no wake-ups from other processes, trying again in %.1f s: %s", pause_s, error)
                self._pause(pause_s)
                pause_s = min(pause_s * 2, 5.0)

    def _pause(self, seconds: float) -> None:
        """However much there is to send meanwhile: a server in trouble is not asked once for each write."""
        until = time.monotonic() + seconds
        while not self._stopping and (left_s := until - time.monotonic()) > 0:
            self._sleep(left_s)

    def _converse(self, connection: psycopg.Connection) -> None:
        connection.execute(f"LISTEN {CHANNEL}")
        self.hear(NAMES)  # what was told while nobody listened is not known
        while True:
            names = self._to_send()
            if names:
                connection.execute("SELECT pg_notify(%s, name) FROM unnest(%s::text[]) AS name", (CHANNEL, names))
            self.hear([notice.payload for notice in connection.notifies(timeout=0)
                       if notice.pid != connection.info.backend_pid])
            if self._stopping and not self._outbox:
                return
            self._sleep(None, connection)

    def _to_send(self) -> list[str]:
        names = set()
        while self._outbox:
            names.add(self._outbox.popleft())
        return sorted(names)

    def _sleep(self, timeout_s: float | None, *others) -> None:
        """Until somebody calls :meth:`_wake`, one of the others can be read, or the time is up."""
        with selectors.DefaultSelector() as selector:
            for readable in (self._asleep, *others):
                selector.register(readable, selectors.EVENT_READ)
            ready = [key.fileobj for key, _ in selector.select(timeout_s)]
        if self._asleep in ready:
            self._asleep.recv(4096)


def _conninfo(url: URL) -> str:
    """The URL as libpq takes it, which would read a blank that SQLAlchemy writes as "+" as a plus.

    :raises ValueError: it has a parameter that libpq does not know
    """
    query = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    try:
        return make_conninfo(**url.translate_connect_args(database="dbname", username="user"), **query)
    except psycopg.ProgrammingError as error:
        raise ValueError(f"FHIRSUB_DATABASE: {str(error).strip()}") from None
