"""Create the tables; why each is as it is stands in fhirsub/store/tables.py.

Constraints get their names from the naming convention of the metadata there.
"""
import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# SQLite numbers rows itself only for a column that is exactly INTEGER PRIMARY KEY.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# "Starts with" is a range of the index only if texts are compared by code points.
Bytewise = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Instant = sa.BigInteger()  # microseconds since 1970


def upgrade():
    op.create_table(
        "fhirsub_lease",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("owner", sa.String(128), nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("name"))
    op.create_table(
        "fhirsub_resource",
        sa.Column("key", Serial, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("last_updated", Instant, nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("born", sa.Integer(), nullable=False, server_default=sa.text("1")),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("type", "id"))
    op.create_index("ix_fhirsub_resource_type_last_updated", "fhirsub_resource", ["type", "last_updated"])
    op.create_table(
        "fhirsub_search_value",
        sa.Column("key", Serial, nullable=False),
        sa.Column("resource_key", Serial, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("parameter", sa.String(64), nullable=False),
        sa.Column("system", sa.Text()),
        sa.Column("value", Bytewise),
        sa.Column("text", sa.Text()),
        sa.Column("low", sa.BigInteger()),
        sa.Column("high", sa.BigInteger()),
        sa.Column("upper", Bytewise),
        sa.Column("unit", sa.Text()),
        sa.Column("part", sa.Integer()),
        sa.PrimaryKeyConstraint("key"))
    op.create_index("ix_fhirsub_search_value_low", "fhirsub_search_value", ["type", "parameter", "low"],
                    sqlite_where=sa.text("low IS NOT NULL"), postgresql_where=sa.text("low IS NOT NULL"))
    op.create_index("ix_fhirsub_search_value_resource_key", "fhirsub_search_value", ["resource_key"])
    op.create_index("ix_fhirsub_search_value_type_parameter_value", "fhirsub_search_value",
                    ["type", "parameter", "value"])
    op.create_index("ix_fhirsub_search_value_upper", "fhirsub_search_value", ["type", "parameter", "upper"],
                    sqlite_where=sa.text("upper IS NOT NULL"), postgresql_where=sa.text("upper IS NOT NULL"))
    op.create_table(
        "fhirsub_secret_header",
        sa.Column("subscription_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("subscription_id", "name"))
    op.create_table(
        "fhirsub_stream",
        sa.Column("id", Serial, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("question_hash", sa.String(64), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("question_hash"))
    op.create_table(
        "fhirsub_subscription",
        sa.Column("key", Serial, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("push", sa.Boolean(), nullable=False),
        sa.Column("ends_at", Instant),
        sa.Column("due_at", Instant),
        sa.Column("lease", sa.String(128)),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("numbered", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.PrimaryKeyConstraint("key"),
        sa.UniqueConstraint("id"))
    op.create_index("ix_fhirsub_subscription_due", "fhirsub_subscription", ["due_at"],
                    sqlite_where=sa.text("due_at IS NOT NULL"), postgresql_where=sa.text("due_at IS NOT NULL"))
    op.create_index("ix_fhirsub_subscription_ends", "fhirsub_subscription", ["ends_at"],
                    sqlite_where=sa.text("ends_at IS NOT NULL"), postgresql_where=sa.text("ends_at IS NOT NULL"))
    op.create_table(
        "fhirsub_change",
        sa.Column("seq", Serial, nullable=False),
        sa.Column("resource_key", Serial, sa.ForeignKey("fhirsub_resource.key")),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("version_id", sa.String(64), nullable=False),
        sa.Column("interaction", sa.String(8), nullable=False),
        sa.Column("recorded_at", Instant, nullable=False),
        sa.Column("matched", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("content", sa.Text()),
        sa.Column("previous", sa.Text()),
        sa.PrimaryKeyConstraint("seq"),
        sqlite_autoincrement=True)
    op.create_index("ix_fhirsub_change_pending", "fhirsub_change", ["seq"],
                    sqlite_where=sa.text("matched = 0"), postgresql_where=sa.text("NOT matched"))
    op.create_table(
        "fhirsub_cursor",
        sa.Column("key", Serial, nullable=False),
        sa.Column("subscription_key", Serial, sa.ForeignKey("fhirsub_subscription.key"), nullable=False),
        sa.Column("stream_id", Serial, sa.ForeignKey("fhirsub_stream.id"), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("accepted", sa.BigInteger(), nullable=False),
        sa.Column("until", sa.BigInteger()),
        sa.Column("parked", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.PrimaryKeyConstraint("key"))
    op.create_index("ix_fhirsub_cursor_stream_id", "fhirsub_cursor", ["stream_id"])
    op.create_index("ix_fhirsub_cursor_subscription_key", "fhirsub_cursor", ["subscription_key"])
    op.create_table(
        "fhirsub_stream_key",
        sa.Column("key", sa.String(255), nullable=False),
        sa.Column("stream_id", Serial, sa.ForeignKey("fhirsub_stream.id"), nullable=False),
        sa.PrimaryKeyConstraint("key", "stream_id"))
    op.create_index("ix_fhirsub_stream_key_stream_id", "fhirsub_stream_key", ["stream_id"])
    op.create_table(
        "fhirsub_version",
        sa.Column("resource_key", Serial, sa.ForeignKey("fhirsub_resource.key"), nullable=False),
        sa.Column("version_id", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("interaction", sa.String(8), nullable=False),
        sa.Column("last_updated", Instant, nullable=False),
        sa.Column("base_url", sa.Text()),
        sa.Column("content", sa.Text()),
        sa.PrimaryKeyConstraint("resource_key", "version_id"))
    op.create_index("ix_fhirsub_version_last_updated", "fhirsub_version", ["last_updated"])
    op.create_index("ix_fhirsub_version_type_last_updated", "fhirsub_version", ["type", "last_updated"])
    op.create_table(
        "fhirsub_event",
        sa.Column("stream_id", Serial, sa.ForeignKey("fhirsub_stream.id"), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("change_seq", Serial, sa.ForeignKey("fhirsub_change.seq"), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "number"))
    op.create_index("ix_fhirsub_event_change_seq", "fhirsub_event", ["change_seq"])


def downgrade():
    for table in (
            "fhirsub_event", "fhirsub_version", "fhirsub_stream_key", "fhirsub_cursor", "fhirsub_change",
            "fhirsub_subscription", "fhirsub_stream", "fhirsub_secret_header", "fhirsub_search_value",
            "fhirsub_resource", "fhirsub_lease"):
        op.drop_table(table)
