"""How this server talks to PostgreSQL: psycopg 3, and connections that notice a restarted database.

Spec: https://www.postgresql.org/docs/15/libpq-connect.html
"""
from __future__ import annotations

import select

from sqlalchemy import URL, Connection, Engine, create_engine, event, exc

# What a URL does not say itself. Keepalives: a listener only reads, and would not notice that its server has vanished.
# The timeout: a machine that is frozen or has vanished inside a transaction would hold its locks, such as the matcher's
# lease, for as long as its connection seems to live.
_CONNECT = {"application_name": "fhirsub", "connect_timeout": "5",
            "options": "-cidle_in_transaction_session_timeout=30s",
            "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}


def completed(url: URL) -> URL:
    """The URL for psycopg 3, with what it leaves open."""
    return url.set(drivername="postgresql+psycopg", query={**_CONNECT, **url.query})


def engine(url: URL, connections: int) -> Engine:
    """An engine at READ COMMITTED, of at most ``connections`` connections."""
    made = create_engine(
        completed(url), pool_size=connections, max_overflow=0, pool_timeout=10,
        isolation_level="READ COMMITTED",
        hide_parameters=True)  # what is written is nobody's business in a log
    event.listen(made, "checkout", _still_there)
    return made


def plan_anew(tx: Connection) -> None:
    """Have every statement of the transaction planned for its own values; nothing to do on other databases.

    A statement that is executed often gets one plan for all values. For a search that is a wrong guess at which of its
    parameters finds few: subject and code of 100,000 Observations took 160 ms so, and 3 ms planned anew.
    """
    if tx.dialect.name == "postgresql":
        tx.exec_driver_sql("SET LOCAL plan_cache_mode = force_custom_plan")


def _still_there(connection, record, proxy) -> None:
    """Drop connections that the server has closed; costs no round trip, unlike a ping.

    The server says nothing on an idle connection except that it ends it, so one that can be read from is of no use.
    """
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    if connection.closed or poll.poll(0):
        raise exc.InvalidatePoolError("the database has closed the connection")
