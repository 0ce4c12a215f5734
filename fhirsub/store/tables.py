"""Every table, on one screen; the only module that defines one.

Times are microseconds since 1970 in the database and aware UTC datetimes in Python (:class:`Instant`).
"""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

from sqlalchemy import (BigInteger, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text,
                        TypeDecorator, UniqueConstraint, text)

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def microseconds(moment: datetime) -> int:
    """How the database has it."""
    return (moment - EPOCH) // timedelta(microseconds=1)


class Instant(TypeDecorator):
    """An aware UTC datetime, kept as microseconds since 1970: exact, sortable and alike in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return None if value is None else microseconds(value)

    def process_result_value(self, value, dialect):
        return None if value is None else EPOCH + timedelta(microseconds=value)


# SQLite numbers rows itself only for a column that is exactly INTEGER PRIMARY KEY.
Serial = BigInteger().with_variant(Integer, "sqlite")

# Compared by code points in every database, so that "starts with" is a range of the index whatever the locale.
Bytewise = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(naming_convention={
    "pk": "pk_%(table_name)s", "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s", "fk": "fk_%(table_name)s_%(column_0_name)s"})

# One row a resource: which version is current. Locking this row orders the writes of one resource.
resource = Table(
    "fhirsub_resource", metadata,
    Column("key", Serial, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version_id", Integer, nullable=False),
    Column("last_updated", Instant, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("born", Integer, nullable=False, server_default=text("1")),  # the version that created it, the last time
    UniqueConstraint("type", "id"),
    Index(None, "type", "last_updated"))

# One row a version, never changed: the JSON as the client sent it, with id and meta; no content for a delete.
version = Table(
    "fhirsub_version", metadata,
    Column("resource_key", ForeignKey("fhirsub_resource.key"), primary_key=True),
    Column("version_id", Integer, primary_key=True),
    Column("type", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("interaction", String(8), nullable=False),  # create | update | delete
    Column("last_updated", Instant, nullable=False),
    Column("base_url", Text),  # of this server as the writer saw it: references below it are this server's own
    Column("content", Text),
    Index(None, "type", "last_updated"),
    Index(None, "last_updated"))

# What a search can find of each current version; which columns a kind of value fills stands in store/search_rows.py.
search_value = Table(
    "fhirsub_search_value", metadata,
    Column("key", Serial, primary_key=True),
    Column("resource_key", Serial, nullable=False),  # no foreign key: twenty checks a write of what one line wrote
    Column("type", String(64), nullable=False),
    Column("parameter", String(64), nullable=False),
    Column("system", Text),
    Column("value", Bytewise),
    Column("text", Text),
    Column("low", BigInteger),
    Column("high", BigInteger),
    Column("upper", Bytewise),
    Column("unit", Text),
    Column("part", Integer),
    Index(None, "resource_key"),
    Index(None, "type", "parameter", "value"),
    Index("ix_fhirsub_search_value_upper", "type", "parameter", "upper", sqlite_where=text("upper IS NOT NULL"),
          postgresql_where=text("upper IS NOT NULL")),
    Index("ix_fhirsub_search_value_low", "type", "parameter", "low", sqlite_where=text("low IS NOT NULL"),
          postgresql_where=text("low IS NOT NULL")))

# A resource was written, or an event raised. Pending until matched; content and previous only for a host's own store.
change = Table(
    "fhirsub_change", metadata,
    Column("seq", Serial, primary_key=True),
    Column("resource_key", ForeignKey("fhirsub_resource.key")),  # whose version it is; NULL: a host application's
    Column("type", String(64), nullable=False),
    Column("id", String(64), nullable=False),
    Column("version_id", String(64), nullable=False),
    Column("interaction", String(8), nullable=False),  # create | update | delete, or read | raise | periodic
    Column("recorded_at", Instant, nullable=False),
    Column("matched", Boolean, nullable=False, server_default=text("false")),
    Column("content", Text),
    Column("previous", Text),
    Column("topic_id", String(64)),              # of the EventDefinition that was raised, or whose time has come
    Column("context", Text),                     # JSON list of references that were raised with it
    Column("hops", Integer),                     # notifications that led to it, one after the other; NULL: none
    Index("ix_fhirsub_change_pending", "seq", sqlite_where=text("matched = 0"), postgresql_where=text("NOT matched")),
    sqlite_autoincrement=True)

# A distinct question, asked by any number of subscriptions; head is the number of its newest event.
stream = Table(
    "fhirsub_stream", metadata,
    Column("id", Serial, primary_key=True),
    Column("question", Text, nullable=False),
    Column("question_hash", String(64), nullable=False, unique=True),  # sha256: a question is too long for an index
    Column("head", BigInteger, nullable=False, server_default=text("0")),
    Column("needs", Text))                       # JSON list of what is counted for it in need; NULL: nothing

# Where a stream is filed in the index: the access keys of its most selective predicate, or its resource type.
stream_key = Table(
    "fhirsub_stream_key", metadata,
    Column("key", String(255), primary_key=True),
    Column("stream_id", ForeignKey("fhirsub_stream.id"), primary_key=True),
    Index(None, "stream_id"))

# A change that matched a stream, numbered 1, 2, 3… per stream without gaps. No foreign keys: checking them took two
# thirds of the time of the one statement that adds events.
event = Table(
    "fhirsub_event", metadata,
    Column("stream_id", Serial, primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("change_seq", Serial, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("transition", String(8)),             # enter | update | leave | delete; NULL: the stream does not tell which
    Column("topics", Text),                      # ids of the EventDefinitions that fired, separated by blanks
    Index(None, "change_seq"))

# An EventDefinition that is switched on, as the matcher met it in the log.
topic = Table(
    "fhirsub_topic", metadata,
    Column("id", String(64), primary_key=True),  # of the EventDefinition
    Column("version_id", Integer, nullable=False),
    Column("since", BigInteger, nullable=False, server_default=text("0")),  # seq of the change that switched it on
    Column("base_url", Text, nullable=False),
    Column("content", Text, nullable=False),     # the EventDefinition's JSON
    Column("next_at", Instant),                  # when its periodic trigger fires next
    Index("ix_fhirsub_topic_next", "next_at", sqlite_where=text("next_at IS NOT NULL"),
          postgresql_where=text("next_at IS NOT NULL")))

# What a topic goes by: "EventDefinition/ID", its canonical url with and without version, its name.
topic_name = Table(
    "fhirsub_topic_name", metadata,
    Column("name", Text, primary_key=True),      # shortened to what an index takes
    Column("topic_id", ForeignKey("fhirsub_topic.id"), primary_key=True),
    Index(None, "topic_id"))

# What a Subscription, or an EventDefinition that is composed of others, names; also while it names nothing usable.
topic_use = Table(
    "fhirsub_topic_use", metadata,
    Column("used_by", String(128), primary_key=True),  # "Subscription/ID" or "EventDefinition/ID"
    Column("name", Text, primary_key=True),            # shortened as in topic_name
    Index(None, "name"))

# Who has still to ask again what it asks, because an EventDefinition that it uses has changed.
renewal = Table(
    "fhirsub_renewal", metadata,
    Column("change_seq", BigInteger, primary_key=True),  # of the EventDefinition, pending until none is left
    Column("subscription_id", String(64), primary_key=True))

# Which changes a topic is tried on: "Encounter update".
topic_key = Table(
    "fhirsub_topic_key", metadata,
    Column("key", String(128), primary_key=True),
    Column("topic_id", ForeignKey("fhirsub_topic.id"), primary_key=True),
    Index(None, "topic_id"))

# What streams in the index need to know of a change beyond its own values, and how many do: "Encounter", "previous".
need = Table(
    "fhirsub_need", metadata,
    Column("type", String(64), primary_key=True),  # resource type, or *
    Column("name", Text, primary_key=True),
    Column("streams", BigInteger, nullable=False))

# The engine's state of one Subscription; what the client said stands in the resource itself.
subscription = Table(
    "fhirsub_subscription", metadata,
    Column("key", Serial, primary_key=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("active", Boolean, nullable=False),   # switched on in the log; False once off or deleted
    Column("push", Boolean, nullable=False),     # a dispatcher delivers it (a websocket reads for itself)
    Column("ends_at", Instant),
    Column("due_at", Instant),                   # when a dispatcher may take it; NULL: nothing to send
    Column("lease", String(128)),                # which dispatcher holds it until due_at
    Column("attempts", Integer, nullable=False, server_default=text("0")),  # failed ones of its oldest event
    Column("numbered", BigInteger, nullable=False, server_default=text("0")),  # event numbers that closed cursors used
    Column("stream_id", BigInteger),             # what its open cursor follows; NULL: it has none
    Index("ix_fhirsub_subscription_due", "due_at", sqlite_where=text("due_at IS NOT NULL"),
          postgresql_where=text("due_at IS NOT NULL")),
    Index("ix_fhirsub_subscription_ends", "ends_at", sqlite_where=text("ends_at IS NOT NULL"),
          postgresql_where=text("ends_at IS NOT NULL")),
    Index("ix_fhirsub_subscription_idle", "stream_id", sqlite_where=text("due_at IS NULL AND active = 1 AND push = 1"),
          postgresql_where=text("due_at IS NULL AND active AND push")))

# Where a subscription stands in a stream. New criteria close one (until) and open the next: the backlog comes first.
cursor = Table(
    "fhirsub_cursor", metadata,
    Column("key", Serial, primary_key=True),     # the order in which a subscription works through them
    Column("subscription_key", ForeignKey("fhirsub_subscription.key"), nullable=False),
    Column("stream_id", ForeignKey("fhirsub_stream.id"), nullable=False),
    Column("base", BigInteger, nullable=False),      # event number of the subscription = stream number - base
    Column("since", BigInteger),                     # stream number that it begins after; NULL: a copy, made by $replay
    Column("accepted", BigInteger, nullable=False),  # newest stream number that the channel has accepted
    Column("ahead", Text),                           # what it has accepted beyond, separated by blanks; NULL: nothing
    Column("until", BigInteger),                     # last stream number it covers; NULL: still bound
    Column("parked", Boolean, nullable=False, server_default=text("false")),  # left by `off`: sent only by $replay
    Column("replay", Boolean, nullable=False, server_default=text("false")),  # asked for again: sent before the newer
    Index(None, "subscription_key"),
    Index(None, "stream_id"))

# What was tried to deliver a notification, and what came of it; kept for ATTEMPT_DAYS.
attempt = Table(
    "fhirsub_attempt", metadata,
    Column("key", Serial, primary_key=True),
    Column("subscription_key", BigInteger, nullable=False),  # no foreign key: the log outlives a deleted Subscription
    Column("event_number", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),              # 1, 2, 3… of this event
    Column("manual", Boolean, nullable=False, server_default=text("false")),  # asked for by $replay
    Column("started_at", Instant, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("status", Integer),                               # of HTTP, if the endpoint answered
    Column("error", String(32)),                             # class of the failure; NULL: accepted
    Column("next_at", Instant),                              # when it is tried again
    Index(None, "subscription_key", "key"),
    Index(None, "started_at"))

# Channel headers whose values a read must not show (Authorization, Cookie, …), encrypted.
secret_header = Table(
    "fhirsub_secret_header", metadata,
    Column("subscription_id", String(64), primary_key=True),
    Column("name", String(128), primary_key=True),   # lower case
    Column("value", Text, nullable=False))

# Who does what only one process may do: the matcher.
lease = Table(
    "fhirsub_lease", metadata,
    Column("name", String(32), primary_key=True),
    Column("owner", String(128), nullable=False),
    Column("expires_at", Instant, nullable=False))
