"""Runs the migrations on the connection that :mod:`fhirsub.store.migrate` hands over."""
from alembic import context

from fhirsub.store.migrate import VERSION_TABLE
from fhirsub.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE,
                  render_as_batch=connection.dialect.name == "sqlite")
with context.begin_transaction():
    context.run_migrations()
