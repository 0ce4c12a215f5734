"""Brings a database to the tables of this version of the program, with Alembic.

Spec: https://alembic.sqlalchemy.org/en/latest/cookbook.html#connection-sharing
"""
from __future__ import annotations

import importlib.util
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from ..errors import StorageError
from .database import Database, claim

# A host application may keep an Alembic of its own in the same database.
VERSION_TABLE = "fhirsub_alembic_version"

_OF_A_NEWER = "has tables of a newer version of fhirsub; install that one"


def upgrade(database: Database) -> None:
    """Create or change the tables; does nothing, and locks nothing, when they are as they should be.

    Several processes may do so at once: the first does the work, in one transaction, the others wait for it.

    :raises StorageError: the database is unreachable, or has tables of a newer version; nothing was changed
    """
    config = _config()
    with database.read() as tx:
        lacks = _lacks(tx, config)
    if lacks == _OF_A_NEWER:
        raise StorageError(f"{database.shown} {lacks}")
    if not lacks:
        return
    with database.write() as tx:
        claim(tx, VERSION_TABLE)
        config.attributes["connection"] = tx
        command.upgrade(config, "head")


def check(database: Database, tx: Connection) -> None:
    """Refuse a database that :func:`upgrade` would change.

    :raises StorageError: it has no tables, or those of another version; says what would do
    """
    if lacks := _lacks(tx, _config()):
        raise StorageError(f"{database.shown} {lacks}")


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


def _lacks(tx: Connection, config: Config) -> str:
    """Why the tables are not those of this version; empty if they are."""
    scripts, found = ScriptDirectory.from_config(config), revision(tx)
    if found == scripts.get_current_head():
        return ""
    if found is None:
        return "has no tables yet; fhirsub migrate makes them"
    known = {script.revision for script in scripts.walk_revisions()}
    return "has the tables of an older version; fhirsub migrate changes them" if found in known else _OF_A_NEWER


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    installed = importlib.util.find_spec("fhirsub.migrations")
    if installed and installed.submodule_search_locations:
        return Path(installed.submodule_search_locations[0])
    return Path(__file__).parents[2] / "migrations"  # a checkout that is not installed
