"""Ordering: a Subscription's notifications go out one at a time, or several where none depends on another.

One at a time is what everybody gets who does not ask. With ``parallel`` those of one resource are still in order. The
cursor stays before the oldest event that is not accepted; what was accepted beyond it is kept with it (``ahead``).

Spec: https://hl7.org/fhir/R4/subscription.html#rest-hook (it leaves the order open)
"""
from __future__ import annotations

from ..errors import Unprocessable
from ..fhir.extensions import ORDERING

ORDERINGS = ("strict", "parallel")
PARALLEL = 8  # under way at once; a kill sends them again, so it is no more than a receiver's log can be searched for

_EXPRESSION = "Subscription.channel.extension"


def check(channel):
    """Refuse an ordering that there is not.

    :raises Unprocessable: names the element
    """
    asked = _asked(channel)
    if asked and channel["type"] == "websocket":
        raise Unprocessable(f"{_EXPRESSION}: a socket is pinged for events in order; leave out {ORDERING}",
                            expression=_EXPRESSION, code="not-supported")
    if asked and (len(asked) > 1 or asked[0] not in ORDERINGS):
        raise Unprocessable(f"{_EXPRESSION}: {ORDERING} takes valueCode strict or parallel, once; got "
                            f"{', '.join(map(repr, asked))}", expression=_EXPRESSION)


def width(lease):
    """How many events of a claimed subscription may be under way; after a failure one, which finds out if it works."""
    return PARALLEL if _asked(lease.resource["channel"]) == ["parallel"] and not lease.attempts else 1


def pick(rows, under_way, limit):
    """Those of a cursor's next events that may be sent now: none whose resource has an older one that is not accepted.

    :param rows: with ``number``, ``type`` and ``id``, oldest first, without those that were accepted
    :param under_way: numbers of those that are being sent
    :param limit: most that may be under way, with those that are picked
    """
    picked, before, room = [], set(), limit - len(under_way)
    for row in rows:
        about = row.type, row.id
        if len(picked) < room and row.number not in under_way and about not in before:
            picked.append(row)
        before.add(about)
    return picked


def numbers(ahead):
    """The stream numbers that a cursor has ``ahead``, as a set; None: none."""
    return {int(number) for number in (ahead or "").split()}


def _asked(channel):
    return [extension.get("valueCode") for extension in channel.get("extension", ())
            if extension.get("url") == ORDERING]
