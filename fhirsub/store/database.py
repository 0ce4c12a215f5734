"""The database: transactions that write, transactions that read, and what they tell when they commit.

Spec: https://www.sqlite.org/isolation.html, https://www.postgresql.org/docs/15/transaction-iso.html
"""
from __future__ import annotations

import hashlib
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ARRAY, BigInteger, Connection, bindparam, column, exc, func, make_url, select

from ..errors import Deadlock, StorageError
from . import postgresql, relay, sqlite
from .hints import ANNOUNCED, Hints
from .turn import Turn

_ENGINES = {"sqlite": sqlite.engine, "postgresql": postgresql.engine, "postgres": postgresql.engine}

# The connection, the disk or the pool; what a statement itself got wrong (IntegrityError, …) is a bug and stays one.
_FAULTS = (exc.OperationalError, exc.InterfaceError, exc.InternalError, exc.TimeoutError)
_FORBIDDEN, _DEADLOCK = "42501", "40P01"  # PostgreSQL's insufficient_privilege and deadlock_detected


class Database:
    """SQLite or PostgreSQL behind the one schema of :mod:`fhirsub.store.tables`.

    :param url: ``sqlite:///path`` or ``postgresql://user@host/name``
    :param connections: most connections at once; another transaction waits for one of them
    :raises ValueError: another kind of database, or SQLite in memory
    """

    def __init__(self, url: str, connections: int = 20):
        kind = url.partition(":")[0].partition("+")[0]
        if kind not in _ENGINES:
            raise ValueError(f"the database must be sqlite:///path or postgresql://…; got {kind!r}")
        try:
            parsed = make_url(url)
        except (ValueError, exc.ArgumentError):
            raise ValueError(f"the database must be {kind}://user@host:port/name, the port a number") from None
        self.url = url
        self.shown = parsed.render_as_string(hide_password=True)
        self.engine = _ENGINES[kind](parsed, connections)
        self.dialect = self.engine.dialect.name
        self._begin_anew()
        forked = weakref.WeakMethod(self._forked)
        os.register_at_fork(after_in_child=lambda: (forked() or (lambda: None))())

    def _begin_anew(self) -> None:
        self.hints = Hints(relay.Relay(self.engine.url) if self.dialect == "postgresql" else None)
        # One writer at a time: threads that race for SQLite's own lock meet its back-off, and p99 is 0.8 s.
        self._turn = Turn() if self.dialect == "sqlite" else None
        self._writer: int | None = None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, committed at the end or rolled back on any exception; then its hints are told.

        Nothing but SQL belongs inside: on SQLite every other writer waits for it.

        :raises StorageError: the database is unreachable, full or busy; nothing was changed
        :raises Deadlock: PostgreSQL ended this one of two transactions that waited for each other
        """
        announced: set[str] = set()
        with self._one_writer(), _faults(), self.engine.connect() as tx:
            tx.execution_options(fhirsub_writes=True, **{ANNOUNCED: announced})
            with tx.begin():
                yield tx
        if announced:
            self.hints.tell(*announced)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One snapshot: every statement inside sees the same moment.

        :raises StorageError: the database is unreachable
        """
        with _faults(), self.engine.connect() as tx:
            if self.dialect == "postgresql":
                tx.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with tx.begin():
                yield tx

    def dispose(self) -> None:
        """Close every connection and stop the thread that listens, if one does."""
        self.hints.stop()
        self.engine.dispose()

    @contextmanager
    def _one_writer(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        if self._writer == threading.get_ident():
            raise RuntimeError("Database.write() inside Database.write() waits for itself: pass the outer tx on")
        with self._turn:
            self._writer = threading.get_ident()
            try:
                yield
            finally:
                self._writer = None

    def _forked(self) -> None:
        """A child process has the parent's sockets and locks, but none of its threads: it starts with its own."""
        self.engine.dispose(close=False)
        self._begin_anew()


def claim(tx: Connection, *names: str) -> None:
    """Let one transaction at a time go on under each of these names, until it ends; what it then reads is up to date.

    For what no row can be locked for: a condition (``If-None-Exist``), an id that is not there yet. On SQLite a
    writing transaction is alone anyway. Several names are claimed in one order, so that no two wait for each other.
    """
    if names and tx.dialect.name == "postgresql":
        numbers = {int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True) for name in names}
        tx.execute(_CLAIM, {"numbers": sorted(numbers)})


@contextmanager
def _faults() -> Iterator[None]:
    try:
        yield
    except exc.SQLAlchemyError as error:
        lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
        state = getattr(getattr(error, "orig", None), "sqlstate", None)
        if lost or state == _FORBIDDEN or isinstance(error, _FAULTS) or type(error) is exc.DatabaseError:
            kind = Deadlock if state == _DEADLOCK else StorageError
            raise kind(str(getattr(error, "orig", None) or error)) from error
        raise


_CLAIM = select(func.pg_advisory_xact_lock(column("number", BigInteger))).select_from(
    func.unnest(bindparam("numbers", type_=ARRAY(BigInteger))).alias("number"))
