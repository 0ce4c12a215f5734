"""New Subscriptions, taken in many at once: a transaction Bundle may bring thousands.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

import re

from sqlalchemy import insert, select

from ..errors import FHIRSubError
from ..fhir.topics import of_subscription
from ..store.sets import within
from ..store.tables import cursor, subscription
from . import switch
from .streams import open_streams

# No compartment, Group or List, and nothing about Subscriptions: none of those that come together matches another.
_SEARCH = re.compile(r"(?!Subscription\b)[A-Za-z]+(\?.*)?", re.DOTALL)


def is_plain(change):
    """Whether a change creates a Subscription that may be taken in together with its neighbours in the log."""
    return (change.type == "Subscription" and change.interaction == "create" and switch.is_on(change)
            and "extension" not in change.resource and bool(_SEARCH.fullmatch(change.resource["criteria"])))


def take_in(tx, run, find, *, now):
    """Do what :func:`.switch.apply` does for each of these changes, with as many statements as for one.

    :param run: changes that are each :func:`is_plain`, between which there is no other
    :param find: as of :func:`.switch.apply`
    """
    known = set(tx.execute(_KNOWN, {"ids": {change.id for change in run}}).scalars())
    asked, others = {}, []
    for change in run:
        question = None if change.id in known else _question(change, find)
        if question is None:
            others.append(change)
        else:
            asked[change.id] = change, question
    if asked:
        _bind(tx, *zip(*asked.values(), strict=True), find)
    for change in others:   # came back after a delete, or cannot be switched on and is told why
        switch.apply(tx, change, find, now=now)


def _question(change, find):
    try:
        return of_subscription(change.resource, change.base_url, find)
    except FHIRSubError:
        return None


def _bind(tx, created, questions, find):
    """Give each of the Subscriptions its row, and a cursor that begins at the head of its stream."""
    opened = open_streams(tx, questions, find)
    keys = dict(tx.execute(_INSERT, [{"id": change.id, "stream_id": stream.id, **switch.state(change.resource)}
                                     for change, stream in zip(created, opened, strict=True)]).all())
    tx.execute(insert(cursor), [{"subscription_key": keys[change.id], "stream_id": stream.id, "base": stream.head,
                                 "since": stream.head, "accepted": stream.head}
                                for change, stream in zip(created, opened, strict=True)])


_KNOWN = select(subscription.c.id).where(within(subscription.c.id, "ids"))
_INSERT = insert(subscription).returning(subscription.c.id, subscription.c.key)
