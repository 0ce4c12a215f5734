"""What a channel sends: one event of one Subscription."""
from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from ..fhir import json
from .channels import rendering


@dataclass(frozen=True)
class Notification:
    """Event ``event_number`` of a Subscription: the version of a resource that matched it.

    :param subscription: the Subscription as it stands, with its secret headers filled in
        ``{"resourceType": "Subscription", "id": str, "channel": {"type": str, "endpoint": str, …}, …}``
    :param subscription_key: never used again, also when a deleted Subscription's id is
    :param event_number: 1, 2, 3… without gaps
    :param attempt: 1 for the first, counting on with each retry
    :param type: of the resource that matched; likewise ``resource_id``, ``version_id``, and ``interaction``, which is
        create | update | delete, or read | raise | periodic
    :param content: the version's JSON exactly as it is stored; None when the Subscription asks for no payload
    :param transition: enter | update | leave | delete; None when the Subscription does not ask for them
    :param topics: ids of the EventDefinitions that fired
    :param context: references that were raised with the event
    :param recorded_at: when the resource was written, aware UTC
    :param hops: 1, or more where notifications of other servers led to it: how loops are found
    """

    subscription: dict
    subscription_key: int
    event_number: int
    attempt: int
    type: str
    resource_id: str
    version_id: str
    interaction: str
    content: str | None = None
    transition: str | None = None
    topics: tuple = ()
    context: tuple = ()
    recorded_at: datetime | None = None
    hops: int = 1

    @property
    def id(self):
        """The same for every attempt, so that a receiver can tell a repetition: ``evt-7-42``."""
        return f"evt-{self.subscription_key}-{self.event_number}"

    @property
    def gone(self):
        """Whether the resource went out of the receiver's sight: it is told so, and not shown the resource."""
        return self.transition in ("leave", "delete") or self.interaction == "delete"

    @property
    def channel(self):
        """``Subscription.channel``."""
        return self.subscription["channel"]

    @cached_property
    def resource(self):
        """The content as a dict; None without payload.

        :raises SetAside: it cannot be decoded
        """
        with rendering():
            return None if self.content is None else json.decode(self.content)
