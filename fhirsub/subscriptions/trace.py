"""What became of one write for one Subscription: the answer to "why didn't it fire?", from the log and the cursors.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import and_, or_, select

from ..errors import FHIRSubError
from ..fhir.instants import parse_instant
from ..fhir.topics import of_subscription
from ..store import changes
from ..store.tables import change, cursor, event, stream, subscription
from .switch import ON
from .topics import Topics


class Reason(NamedTuple):
    """One thing that decided.

    :param code: ``delivered`` | ``waiting`` | ``parked`` | ``no-match`` | ``pending`` | ``switched-on-later`` |
        ``was-off`` | ``other-criteria`` | ``unusable`` | ``off`` | ``ended`` | ``error``
    :param event_number: of the notification; None if there is none, or the number is no longer known
    :param attempts: failed ones so far, of a notification that waits
    """

    code: str
    text: str
    event_number: int | None = None
    attempts: int | None = None


def reasons(tx, current, written, *, now):
    """Why a Subscription was, was not or was not yet notified of a write.

    :param current: the Subscription as it stands, ``{"resourceType": "Subscription", "id": str, …}``
    :param written: :class:`~fhirsub.store.changes.Change` with its ``seq``
    :returns: list of :class:`Reason`: first what the write met, then how the Subscription stands
    """
    return [*_met(tx, current, written), *_stands(current, now)]


def _met(tx, current, written):
    """What the write met at its place in the log, where the matcher switches Subscriptions on and off."""
    then = changes.last(tx, "Subscription", current["id"], before=written.seq)
    if then is None or then.resource is None:
        yield Reason("switched-on-later", "the Subscription was written after this version; later writes notify it")
        return
    if then.resource["status"] not in ON:
        yield Reason("was-off", "the Subscription was off when this version was written")
        return
    if _asked(then.resource) != _asked(current):
        yield Reason("other-criteria", f"when this version was written, it asked {then.resource['criteria']}")
    if not tx.execute(select(change.c.matched).where(change.c.seq == written.seq)).scalar_one():
        yield Reason("pending", "the matcher has not come to this version yet")
        return
    try:
        asked = of_subscription(then.resource, then.base_url, Topics().finder(tx)).canonical()
    except FHIRSubError as error:
        yield Reason("unusable", f"what it asks cannot be evaluated: {error}")
        return
    row = tx.execute(_event(current["id"], written.seq, asked)).first()
    yield _notified(row) if row else Reason("no-match", "when this version was matched, it was not what the "
                                            "Subscription asked; what that refers to may have changed since")


def _asked(subscription):
    """What a Subscription asks: its criteria, and the extensions that may narrow or widen it."""
    return subscription["criteria"], subscription.get("extension")


def _notified(row):
    """How far the notification of an event is."""
    number = None if row.base is None else row.number - row.base
    if number is None or row.until is None and number <= row.numbered:
        # The cursor that covered it was closed by new criteria, and forgotten once all its events were delivered.
        return Reason("delivered", "the channel has accepted the notification")
    if row.number <= row.accepted:
        return Reason("delivered", f"the channel has accepted it as event number {number}", number)
    if row.parked:
        return Reason("parked", f"event number {number} was left when the Subscription was switched off; "
                                "it is not sent unasked", number)
    ahead = row.number - row.accepted - 1
    attempts = 0 if ahead else row.attempts
    so_far = f"events before it: {ahead}" if ahead else f"failed attempts so far: {attempts}"
    return Reason("waiting", f"event number {number} waits to be delivered; {so_far}", number, attempts)


def _stands(current, now):
    if "end" in current and parse_instant(current["end"]) <= now:
        yield Reason("ended", f"the Subscription ended at {current['end']}; nothing is sent any more")
    if current["status"] == "off":
        yield Reason("off", "the Subscription is off: nothing is sent until it is requested again")
    if "error" in current:
        yield Reason("error", current["error"])


def _event(subscription_id, seq, question):
    """The event of a change in the stream of a question, with the oldest cursor of a Subscription that covers it."""
    covers = and_(cursor.c.subscription_key == subscription.c.key, cursor.c.stream_id == event.c.stream_id,
                  or_(cursor.c.until.is_(None), event.c.number <= cursor.c.until))
    return (select(event.c.number, cursor.c.base, cursor.c.accepted, cursor.c.until, cursor.c.parked,
                   subscription.c.numbered, subscription.c.attempts)
            .join(stream, stream.c.id == event.c.stream_id).join(subscription, subscription.c.id == subscription_id)
            .outerjoin(cursor, covers).where(event.c.change_seq == seq, stream.c.question == question)
            .order_by(cursor.c.key).limit(1))
