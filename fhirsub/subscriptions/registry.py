"""The tables of topics: which are switched on, what they go by, and who names them.

Only the matcher writes them, at the place in the log where it meets an EventDefinition or who names one.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

from sqlalchemy import bindparam, delete, insert, select

from ..fhir import json
from ..store.search_rows import asked
from ..store.sets import within
from ..store.tables import topic as topic_table, topic_key, topic_name, topic_use

_TYPE = "EventDefinition/"


def names(topic):
    """All that it goes by, as the tables have it; not by a name or URL that reads as one of the others."""
    by_url = (topic.url, f"{topic.url}|{topic.version}") if ":" in topic.url else ()
    by_name = () if not topic.name or ":" in topic.name or topic.name.startswith(_TYPE) else (topic.name,)
    return {asked(name) for name in (reference(topic.id), *by_name, *by_url)}


def reference(topic_id):
    """``EventDefinition/5``"""
    return f"{_TYPE}{topic_id}"


def put(tx, topic, definition, base_url, *, since, next_at):
    """Switch a topic on, or over to a new version; what it is tried on is for :func:`file`.

    :param definition: the EventDefinition that it was read from
    :param since: seq of the change that switched it on
    :param next_at: aware UTC, when its periodic trigger fires next; None: it has none
    """
    remove(tx, topic.id)
    tx.execute(insert(topic_table).values(
        id=topic.id, version_id=int(topic.version_id), since=since, base_url=base_url, next_at=next_at,
        content=json.encode(definition).decode()))
    tx.execute(insert(topic_name), [{"name": name, "topic_id": topic.id} for name in names(topic)])
    use(tx, reference(topic.id), topic.uses())


def remove(tx, topic_id):
    """Switch a topic off."""
    for table in (topic_key, topic_name):
        tx.execute(delete(table).where(table.c.topic_id == topic_id))
    tx.execute(delete(topic_table).where(topic_table.c.id == topic_id))
    use(tx, reference(topic_id), ())


def file(tx, topic_id, keys):
    """Have a topic tried on the changes that have one of these keys, and on no others."""
    tx.execute(delete(topic_key).where(topic_key.c.topic_id == topic_id))
    if keys:
        tx.execute(insert(topic_key), [{"key": key, "topic_id": topic_id} for key in set(keys)])


def use(tx, used_by, references):
    """Remember what a Subscription or an EventDefinition names, also when that is not switched on (yet).

    :param used_by: ``Subscription/ID`` | ``EventDefinition/ID``
    :param references: all that it names; what it named before is forgotten
    """
    tx.execute(delete(topic_use).where(topic_use.c.used_by == used_by))
    named = {asked(one) for one in references}
    if named:
        tx.execute(insert(topic_use), [{"used_by": used_by, "name": name} for name in named])


def users(tx, type, named):
    """The resources of a type that use a topic which goes by one of these names: ``["Subscription/s1", …]``."""
    return tx.execute(_USERS, {"of_type": f"{type}/%", "names": named}).scalars().all()


def current(tx, topic_id):
    """The row of a topic; None if it is not switched on."""
    return tx.execute(select(topic_table).where(topic_table.c.id == topic_id)).first()


_USERS = select(topic_use.c.used_by).where(
    within(topic_use.c.name, "names"), topic_use.c.used_by.like(bindparam("of_type"))).distinct().order_by(
    topic_use.c.used_by)
