"""Add attempts, the log of what was tried to deliver each notification, and what a replay needs to know of cursors."""
import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

# SQLite numbers rows itself only for a column that is exactly INTEGER PRIMARY KEY.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Instant = sa.BigInteger()  # microseconds since 1970


def upgrade():
    op.create_table(
        "fhirsub_attempt",
        sa.Column("key", Serial, nullable=False),
        sa.Column("subscription_key", sa.BigInteger(), nullable=False),
        sa.Column("event_number", sa.BigInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("manual", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("took_ms", sa.Integer(), nullable=False),
        sa.Column("status", sa.Integer()),
        sa.Column("error", sa.String(32)),
        sa.Column("next_at", Instant),
        sa.PrimaryKeyConstraint("key", name="pk_fhirsub_attempt"))
    op.create_index("ix_fhirsub_attempt_subscription_key_key", "fhirsub_attempt", ["subscription_key", "key"])
    op.create_index("ix_fhirsub_attempt_started_at", "fhirsub_attempt", ["started_at"])
    op.add_column("fhirsub_cursor", sa.Column("since", sa.BigInteger()))
    op.add_column("fhirsub_cursor", sa.Column("ahead", sa.Text()))
    op.add_column("fhirsub_cursor", sa.Column("replay", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    # A bound cursor began where the one before it ended; where a closed one began is not known any more.
    op.execute("UPDATE fhirsub_cursor SET since = CASE WHEN until IS NOT NULL THEN accepted ELSE base + ("
               "SELECT numbered FROM fhirsub_subscription WHERE key = fhirsub_cursor.subscription_key) END")

    op.add_column("fhirsub_change", sa.Column("hops", sa.Integer()))


def downgrade():
    op.drop_column("fhirsub_change", "hops")
    op.drop_column("fhirsub_cursor", "replay")
    op.drop_column("fhirsub_cursor", "ahead")
    op.drop_column("fhirsub_cursor", "since")
    op.drop_table("fhirsub_attempt")
