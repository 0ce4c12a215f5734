"""How this server talks to SQLite: pragmas, and transactions that begin as what they are.

Spec: https://www.sqlite.org/wal.html, https://www.sqlite.org/lang_transaction.html
"""
from __future__ import annotations

import random
import sqlite3
import time

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ..errors import StorageError

# Another process may hold the write lock for as long as its transaction takes; ten seconds of that is a fault.
BUSY_S = 10

_PRAGMAS = (
    "PRAGMA synchronous = FULL",  # an acknowledged write survives a power cut, not only a kill
    "PRAGMA foreign_keys = ON",
    "PRAGMA wal_autocheckpoint = 4000",  # pages; a write dirties about 40, most of them again and again
    "PRAGMA temp_store = MEMORY")


def engine(url: URL, connections: int) -> Engine:
    """An engine whose transactions begin with ``BEGIN IMMEDIATE`` under the execution option ``fhirsub_writes``.

    :raises ValueError: the database is in memory, where every connection would have its own
    """
    if not url.database or ":memory:" in url.database or "mode=memory" in str(url):
        raise ValueError(f"an SQLite database in memory cannot be shared by threads: {url}; use a file, "
                         "e.g. sqlite:////tmp/fhirsub.db")
    made = create_engine(
        url.set(drivername="sqlite+pysqlite"), pool_size=connections, max_overflow=0, pool_timeout=BUSY_S,
        pool_reset_on_return=None,  # Database ends every transaction itself
        hide_parameters=True,       # what is written is nobody's business in a log
        connect_args={"timeout": BUSY_S, "check_same_thread": False, "cached_statements": 512})
    event.listen(made, "connect", _set_up)
    event.listen(made, "begin", _begin)
    return made


def _set_up(connection: sqlite3.Connection, record) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself
    _patiently(connection, "PRAGMA journal_mode = WAL")
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    plain = connection.connection.dbapi_connection
    if connection.get_execution_options().get("fhirsub_writes"):
        _patiently(plain, "BEGIN IMMEDIATE")
    else:
        plain.execute("BEGIN")


def _patiently(connection: sqlite3.Connection, statement: str) -> None:
    """Execute what waits for another process's write lock, in short sleeps that let other greenlets run.

    SQLite's own busy handler sleeps inside C, which stops every greenlet of a worker, and backs off to 100 ms.
    """
    give_up_at = time.monotonic() + BUSY_S
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        while not _tried(connection, statement):
            if time.monotonic() > give_up_at:
                raise StorageError(f"another process has held the write lock of the database for {BUSY_S} s")
            time.sleep(random.uniform(0.0005, 0.003))
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_S * 1000}")


def _tried(connection: sqlite3.Connection, statement: str) -> bool:
    try:
        connection.execute(statement)
        return True
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        raise StorageError(str(error)) from error
