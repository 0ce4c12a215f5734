"""What one dispatcher has under way: one notification of a subscription, or several where it asks for that."""
from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime

from .claims import Lease
from .notification import Notification


@dataclass(eq=False)
class Flight:
    """A notification under way, and what its acceptance means.

    :param number: stream number that cursor ``cursor_key`` moves to
    :param alone: no other of its subscription may be under way, or was accepted before it
    :param happened_at: when the matcher found the event
    :param manual: it was asked for by a replay
    :param started_at: aware UTC; ``started_s`` is the same by a clock that nobody sets
    """

    lease: Lease
    cursor_key: int
    stream_id: int
    number: int
    alone: bool
    notification: Notification
    happened_at: datetime
    manual: bool
    started_at: datetime
    started_s: float = field(default_factory=time.monotonic)


class Flights:
    """All of them, by the key of the subscription.

    :ivar grounded: ``{key: due_at}`` of subscriptions where one has failed: the others land before they are put off
    """

    def __init__(self):
        self._of, self._count, self.grounded = defaultdict(set), 0, {}

    def __len__(self):
        return self._count

    def add(self, flight):
        self._of[flight.lease.key].add(flight)
        self._count += 1

    def remove(self, flight):
        key = flight.lease.key
        self._of[key].remove(flight)
        self._count -= 1
        if not self._of[key]:
            del self._of[key]
            self.grounded.pop(key, None)

    def keys(self):
        """The subscriptions that have any."""
        return self._of.keys()

    def extensible(self):
        """The subscriptions that may have more under way than they have."""
        return {key for key, flights in self._of.items()
                if key not in self.grounded and not next(iter(flights)).alone}

    def besides(self, landed, keys):
        """``{key: flights}`` of those of ``keys`` that have others under way than the ones that have ``landed``."""
        left = {key: self._of[key].difference(landed) for key in keys if key in self._of}
        return {key: flights for key, flights in left.items() if flights}
