"""The call by which a host application says that an event happened: ``fhirsub.raise_event("patient-admit", …)``."""
from __future__ import annotations

from contextlib import nullcontext

from .errors import Unprocessable
from .matching import read
from .recording import OURS
from .store import changes
from .store.changes import Change
from .subscriptions import raising


def raise_event(database, event, *, focus, context, connection, base_url, now):
    """Record the event on ``connection``; see :meth:`fhirsub.extension.FHIRSub.raise_event`."""
    if isinstance(context, str) or not all(isinstance(one, str) and one for one in context):
        raise Unprocessable(f"context: expected a list of references, such as Patient/1; got {context!r}")
    with nullcontext(connection) if connection is not None else database.write() as tx:
        topic = raising.event(tx, event, base_url)
        if isinstance(focus, str):
            seq = raising.raise_own(tx, topic, focus, context=context, base_url=base_url, now=now)
        else:
            seq = changes.record(tx, _of_host(topic, read(focus), context), now=now)
        database.hints.announce(tx, "change")
    return seq


def _of_host(topic, focus, context):
    """The change about a resource of the application's own store."""
    kind, id = focus["resourceType"], focus.get("id")
    raising.check(topic, kind)
    if not id or kind in OURS:
        raise Unprocessable(f"focus: expected a resource of the application's store with an id; got {kind} {id!r}")
    version_id = focus.get("meta", {}).get("versionId", "1")
    return Change(kind, id, version_id, "raise", focus, topic_id=topic.id, context=tuple(context))
