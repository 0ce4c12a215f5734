"""Brings a database to the tables of this version of the program, with Alembic.

Spec: https://alembic.sqlalchemy.org/en/latest/cookbook.html#sharing-a-connection-across-one-or-more-programmatic-migration-commands
"""
from __future__ import annotations

import importlib.util
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from .database import Database, claim

# A host application may keep an Alembic of its own in the same database.
VERSION_TABLE = "fhirsub_alembic_version"


def upgrade(database: Database) -> None:
    """Create or change the tables; does nothing, and locks nothing, when they are as they should be.

    Several processes may do so at once: the first does the work, in one transaction, the others wait for it.

    :raises StorageError: the database is unreachable; nothing was changed
    """
    config = _config()
    head = ScriptDirectory.from_config(config).get_current_head()
    with database.read() as tx:
        if revision(tx) == head:
            return
    with database.write() as tx:
        claim(tx, VERSION_TABLE)
        config.attributes["connection"] = tx
        command.upgrade(config, "head")


def revise(database: Database, message: str) -> None:
    """Write the next migration: what an upgraded database lacks of :mod:`fhirsub.store.tables`.

    Edit what it wrote, then commit it.
    """
    config = _config()
    number = int(ScriptDirectory.from_config(config).get_current_head()) + 1
    with database.write() as tx:
        config.attributes["connection"] = tx
        command.revision(config, message, autogenerate=True, rev_id=f"{number:04}")


def revision(tx: Connection) -> str | None:
    """The migration that the database stands at; None when it has none of our tables."""
    return MigrationContext.configure(tx, opts={"version_table": VERSION_TABLE}).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    installed = importlib.util.find_spec("fhirsub.migrations")
    if installed and installed.submodule_search_locations:
        return Path(installed.submodule_search_locations[0])
    return Path(__file__).parents[2] / "migrations"  # a checkout that is not installed
