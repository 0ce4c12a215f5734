"""Setting aside: an event whose notification cannot be made is parked, so that it does not block those behind it.

The cursor moves over it as over an accepted one. A parked copy of the cursor stays, of this one event: it is listed and
sent again with what ``off`` has parked, by ``$replay`` with ``parked=true``.

Spec: https://www.enterpriseintegrationpatterns.com/patterns/messaging/InvalidMessageChannel.html
"""
from __future__ import annotations

import logging

from sqlalchemy import Boolean, bindparam, exists, insert, literal, select

from ..store.tables import cursor
from ..subscriptions.status import set_status
from . import claims
from .acceptance import accept
from .channels import SetAside

log = logging.getLogger(__name__)

TRIES = 3  # a deployment, or somebody who mends the row, may come in between


def is_hopeless(outcome, lease, schedule):
    """Whether this attempt was the last one for its event.

    :param outcome: :class:`~fhirsub.delivery.settlement.Outcome`
    :param lease: the subscription as it stands now
    """
    if not isinstance(outcome.error, SetAside) or lease.version_id != outcome.flight.lease.version_id:
        return False  # with other words of its owner it may be possible
    return lease.attempts + 1 >= min(TRIES, len(schedule.pauses_s) + 1)


def park(tx, outcome, lease, row, *, now):
    """Park the event, let the cursor go on, and tell the owner.

    :param row: of the attempt log, as for :func:`~fhirsub.delivery.acceptance.accept`
    """
    flight, number = outcome.flight, outcome.flight.notification.event_number
    tx.execute(_COPY, {"of": flight.cursor_key, "whose": lease.key, "through": flight.stream_id,
                       "number": flight.number})
    accept(tx, {flight: row})
    claims.forget_failures(tx, [lease.key])
    lease.attempts = 0
    log.error("event %s of Subscription/%s is parked: its notification cannot be made (%s)", number, lease.id,
              type(outcome.error.__cause__).__name__)  # the text may be of the resource
    set_status(tx, lease.id, "error", f"event {number} is parked, {outcome.error.reason}: $replay it with parked=true",
               now=now)


_c, _parked = cursor.c, cursor.alias("parked")
_number = bindparam("number", type_=_c.accepted.type)
_yes, _no = literal(True, Boolean), literal(False, Boolean)
_IS_PARKED = exists().where(_parked.c.subscription_key == _c.subscription_key, _parked.c.stream_id == _c.stream_id,
                            _parked.c.parked, _parked.c.accepted == _number - 1, _parked.c.until == _number)
_COPY = insert(cursor).from_select(
    ["subscription_key", "stream_id", "base", "accepted", "until", "parked", "replay"],
    select(_c.subscription_key, _c.stream_id, _c.base, _number - 1, _number, _yes, _no)
    .where(_c.key == bindparam("of"), _c.subscription_key == bindparam("whose"), _c.stream_id == bindparam("through"),
           _c.accepted < _number, ~_IS_PARKED), include_defaults=False)
