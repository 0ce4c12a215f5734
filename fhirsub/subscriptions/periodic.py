"""Periodic triggers: whoever holds the matcher's lease records a change when the time of a topic has come.

Spec: https://hl7.org/fhir/R4/triggerdefinition.html
"""
from __future__ import annotations

import logging

from sqlalchemy import bindparam, select, update

from ..store import raised
from ..store.tables import topic

log = logging.getLogger(__name__)

MAX_FIRED = 256  # in one transaction; the rest come in the next


def fire(tx, topics, *, now):
    """Record a change for each topic whose time has come, and note when it comes next.

    One transaction does both under the matcher's lease, so a time fires once over all processes; of the times that
    passed while no process ran, all together fire once.

    :param topics: :class:`.Topics`
    :returns: how many fired
    """
    rows = tx.execute(_DUE, {"now": now}).all()
    loaded = topics.load(tx, [(row.id, row.version_id) for row in rows])
    for row in rows:
        due = loaded.get(row.id)
        tx.execute(_MOVE, {"of": row.id, "to": due and due.next_due(now)})
        if due:
            raised.record(tx, "EventDefinition", row.id, "periodic", now=now, version_id=row.version_id,
                          topic_id=row.id)
            log.info("the time of EventDefinition/%s has come", row.id)
    return len(rows)


def pause_s(tx, *, now):
    """Seconds until :func:`fire` has something to do, 0 if it has now; None if no topic waits for its time."""
    first = tx.execute(_FIRST).scalar()
    return None if first is None else max(0.0, (first - now).total_seconds())


# The condition is that of the partial index, written as it is there.
_WAITING = topic.c.next_at.is_not(None)
_FIRST = select(topic.c.next_at).where(_WAITING).order_by(topic.c.next_at).limit(1)
_DUE = (select(topic.c.id, topic.c.version_id).where(_WAITING, topic.c.next_at <= bindparam("now"))
        .order_by(topic.c.next_at).limit(MAX_FIRED))
_MOVE = update(topic).where(topic.c.id == bindparam("of")).values(next_at=bindparam("to"))
