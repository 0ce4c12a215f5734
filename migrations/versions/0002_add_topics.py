"""Add topics: EventDefinitions that are switched on, and which events they made of changes."""
import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Instant = sa.BigInteger()  # microseconds since 1970


def upgrade():
    op.create_table(
        "fhirsub_topic",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("next_at", Instant),
        sa.PrimaryKeyConstraint("id", name="pk_fhirsub_topic"))
    op.create_index("ix_fhirsub_topic_next", "fhirsub_topic", ["next_at"], sqlite_where=sa.text("next_at IS NOT NULL"),
                    postgresql_where=sa.text("next_at IS NOT NULL"))
    op.create_table(
        "fhirsub_topic_key",
        sa.Column("key", sa.String(128), nullable=False),
        sa.Column("topic_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["topic_id"], ["fhirsub_topic.id"], name="fk_fhirsub_topic_key_topic_id"),
        sa.PrimaryKeyConstraint("key", "topic_id", name="pk_fhirsub_topic_key"))
    op.create_index("ix_fhirsub_topic_key_topic_id", "fhirsub_topic_key", ["topic_id"])
    op.create_table(
        "fhirsub_topic_name",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("topic_id", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["topic_id"], ["fhirsub_topic.id"], name="fk_fhirsub_topic_name_topic_id"),
        sa.PrimaryKeyConstraint("name", "topic_id", name="pk_fhirsub_topic_name"))
    op.create_index("ix_fhirsub_topic_name_topic_id", "fhirsub_topic_name", ["topic_id"])
    op.create_table(
        "fhirsub_topic_use",
        sa.Column("used_by", sa.String(128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("used_by", "name", name="pk_fhirsub_topic_use"))
    op.create_index("ix_fhirsub_topic_use_name", "fhirsub_topic_use", ["name"])
    op.create_table(
        "fhirsub_need",
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("streams", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("type", "name", name="pk_fhirsub_need"))
    op.add_column("fhirsub_stream", sa.Column("needs", sa.Text()))
    op.add_column("fhirsub_change", sa.Column("topic_id", sa.String(64)))
    op.add_column("fhirsub_change", sa.Column("context", sa.Text()))
    op.add_column("fhirsub_event", sa.Column("transition", sa.String(8)))
    op.add_column("fhirsub_event", sa.Column("topics", sa.Text()))
    add_members()


def add_members():
    """Groups say under ``_list`` whom they hold, as Lists do; those stored before this migration say it from now on."""
    connection = op.get_bind()
    groups = connection.execute(sa.text(
        "SELECT r.key, v.base_url, v.content FROM fhirsub_resource r JOIN fhirsub_version v ON v.resource_key = r.key "
        "AND v.version_id = r.version_id WHERE r.type = 'Group' AND NOT r.deleted")).all()
    for key, base_url, content in groups:
        members = [member["entity"].get("reference", "") for member in json.loads(content).get("member", ())
                   if not member.get("inactive")]
        for value in {member.removeprefix(f"{base_url}/") for member in members if 0 < len(member) <= 500}:
            connection.execute(sa.text(
                "INSERT INTO fhirsub_search_value (resource_key, type, parameter, value, text) "
                "VALUES (:key, 'Group', '_list', :value, '')"), {"key": key, "value": value})


def downgrade():
    op.execute("DELETE FROM fhirsub_search_value WHERE type = 'Group' AND parameter = '_list'")
    op.drop_column("fhirsub_event", "topics")
    op.drop_column("fhirsub_event", "transition")
    op.drop_column("fhirsub_change", "context")
    op.drop_column("fhirsub_change", "topic_id")
    op.drop_column("fhirsub_stream", "needs")
    for table in ("fhirsub_need", "fhirsub_topic_use", "fhirsub_topic_name", "fhirsub_topic_key", "fhirsub_topic"):
        op.drop_table(table)
