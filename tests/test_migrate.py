"""The migrated schema is the one in code, on SQLite and on PostgreSQL."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect

from fhirsub.errors import StorageError
from fhirsub.store import migrate, versions
from fhirsub.store.membership import holders
from fhirsub.store.migrate import VERSION_TABLE, revision, upgrade
from fhirsub.store.tables import EPOCH, metadata


def test_migrated_schema_equals_the_tables_in_code(database):
    with database.read() as tx:
        context = MigrationContext.configure(tx, opts={
            "version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_migrated_indexes_and_constraints_are_those_of_the_tables_in_code(request, empty):
    migrated = request.getfixturevalue(f"{empty.dialect}_database")
    metadata.create_all(empty.engine)
    with empty.write() as tx:
        tx.exec_driver_sql(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32))")
    assert definitions(migrated) == definitions(empty)
    for table in metadata.tables:
        for aspect in ("get_unique_constraints", "get_foreign_keys", "get_pk_constraint"):
            assert constraints(migrated, aspect, table) == constraints(empty, aspect, table)


def definitions(database):
    """The SQL of every index but Alembic's own, and the collation of every column."""
    queries = ["SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"]
    if database.dialect == "postgresql":
        queries = ["SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
                   f"AND tablename <> '{VERSION_TABLE}'",
                   "SELECT table_name || '.' || column_name, collation_name FROM information_schema.columns "
                   "WHERE table_schema = 'public'"]
    with database.read() as tx:
        return [dict(tuple(row) for row in tx.exec_driver_sql(query)) for query in queries]


def constraints(database, aspect, table):
    found = getattr(inspect(database.engine), aspect)(table)
    return sorted(str(sorted(one.items(), key=str)) for one in (found if isinstance(found, list) else [found]))


def test_upgrade_creates_the_tables_once(empty):
    with empty.read() as tx:
        assert revision(tx) is None
    upgrade(empty)
    upgrade(empty)
    with empty.read() as tx:
        assert revision(tx) is not None
        assert set(inspect(tx).get_table_names()) == {*metadata.tables, VERSION_TABLE}


def test_groups_stored_before_topics_hold_their_members_after_the_upgrade(empty):
    upgrade(empty)
    group = {"resourceType": "Group", "id": "g", "type": "person", "actual": True, "member": [
        {"entity": {"reference": "http://host/fhir/Patient/a"}},
        {"entity": {"reference": "Patient/b"}, "inactive": True}]}
    with empty.write() as tx:
        versions.write(tx, group, now=EPOCH, base_url="http://host/fhir")
        config = migrate._config()
        config.attributes["connection"] = tx
        command.downgrade(config, "0001")
    upgrade(empty)
    with empty.read() as tx:
        assert holders(tx, ["Patient/a", "Patient/b"]) == {"Patient/a": {"Group/g"}, "Patient/b": frozenset()}


def test_upgrade_needs_no_lock_when_there_is_nothing_to_do(database):
    with database.write():
        upgrade(database)


def test_upgrade_leaves_the_tables_of_a_host_application_alone(empty):
    with empty.write() as tx:
        tx.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32))")
        tx.exec_driver_sql("INSERT INTO alembic_version VALUES ('host')")
    upgrade(empty)
    with empty.read() as tx:
        assert tx.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "host"


def test_processes_may_upgrade_at_once(empty):
    script = "import sys; from fhirsub.store.database import Database; from fhirsub.store.migrate import upgrade; " \
             "upgrade(Database(sys.argv[1]))"
    running = [subprocess.Popen([sys.executable, "-c", script, empty.url], cwd=os.getcwd()) for _ in range(3)]
    assert [process.wait(30) for process in running] == [0, 0, 0]
    with empty.read() as tx:
        assert set(metadata.tables) <= set(inspect(tx).get_table_names())


def test_failed_upgrade_leaves_nothing(empty):
    with create_engine(empty.engine.url).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE fhirsub_version (x INTEGER)")
    with pytest.raises(Exception, match="fhirsub_version"):
        upgrade(empty)
    with empty.read() as tx:
        assert inspect(tx).get_table_names() == ["fhirsub_version"]


@pytest.mark.parametrize("revision, words", [
    (None, "has no tables yet; fhirsub migrate makes them"),
    ("0001", "has the tables of an older version; fhirsub migrate changes them"),
    ("9999", "has tables of a newer version of fhirsub")])
def test_database_of_another_version_is_refused_where_it_is_only_read(empty, revision, words):
    if revision:
        upgrade(empty)
        with empty.write() as tx:
            tx.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
    with pytest.raises(StorageError, match=words), empty.read() as tx:
        migrate.check(empty, tx)


def test_database_of_a_newer_version_is_left_alone(empty):
    upgrade(empty)
    with empty.write() as tx:
        tx.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    with pytest.raises(StorageError, match="newer version of fhirsub; install that one"):
        upgrade(empty)


def test_revise_writes_what_an_upgraded_database_lacks(sqlite_database, tmp_path, monkeypatch):
    scripts = shutil.copytree(migrate._scripts(), tmp_path / "migrations")
    monkeypatch.setattr(migrate, "_scripts", lambda: scripts)
    with sqlite_database.write() as tx:
        tx.exec_driver_sql("DROP TABLE fhirsub_secret_header")
    migrate.revise(sqlite_database, "keep secrets")
    [written] = (scripts / "versions").glob("*_keep_secrets.py")
    assert written.name > "0001_create_tables.py"
    upgrade(sqlite_database)
    with sqlite_database.read() as tx:
        assert inspect(tx).has_table("fhirsub_secret_header")
