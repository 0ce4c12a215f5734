"""The readers of the event log in this process, and the streams that their Subscriptions follow."""
from __future__ import annotations

import threading
from typing import Protocol


class Listener(Protocol):
    """Whoever joins a reader, such as a socket; called in the tail's thread, so it must never block."""

    def bound(self, reader: Reader, missed: bool) -> None:
        """The reader stands at the end of the log; ``missed``: events came that no socket was pinged for."""

    def refused(self, reader: Reader) -> None:
        """There is no such active websocket Subscription."""

    def news(self, reader: Reader, count: int) -> None:
        """So many new events came, up to ``reader.number``."""

    def ended(self, reader: Reader) -> None:
        """The Subscription is off, deleted or past its end; nothing more will come."""


class Reader:
    """One Subscription on one socket, and where that socket stands in the log.

    :ivar key: of the Subscription's row
    :ivar number: event number of the newest event that the listener was told of; None until it is bound
    """

    def __init__(self, subscription_id: str, listener: Listener):
        self.subscription_id, self.listener = subscription_id, listener
        self.key = self.number = self.joined_at = None


class Readers:
    """All readers by Subscription. Sockets add and discard them in any thread; only the tail reads and follows."""

    def __init__(self):
        self._readers = {}    # {subscription id: set of Reader}
        self._streams = {}    # {subscription id: ids of the streams that it follows}
        self._followers = {}  # {stream id: set of subscription ids}
        self._heads = {}      # {stream id: number of the newest event known}
        self._waiting = set()
        self._lock = threading.Lock()

    def __len__(self):
        return len(self._readers)

    def add(self, reader):
        with self._lock:
            self._readers.setdefault(reader.subscription_id, set()).add(reader)
            self._waiting.add(reader)

    def discard(self, reader):
        with self._lock:
            self._waiting.discard(reader)
            readers = self._readers.get(reader.subscription_id, set())
            readers.discard(reader)
            if not readers:
                self._readers.pop(reader.subscription_id, None)

    def ids(self):
        """The ids of all Subscriptions that have a reader, or had one when they were last looked at."""
        with self._lock:
            return self._readers.keys() | self._streams.keys()

    def of(self, subscription_id):
        """The readers of one Subscription."""
        with self._lock:
            return list(self._readers.get(subscription_id, ()))

    def waiting(self):
        """The ids of Subscriptions with readers that are not bound yet."""
        with self._lock:
            self._waiting = {reader for reader in self._waiting if reader.number is None}
            return {reader.subscription_id for reader in self._waiting}

    def follow(self, subscription_id, heads):
        """Note which streams a Subscription follows; none once it has no readers.

        :param heads: ``{stream id: number of its newest event}``
        """
        with self._lock:
            if subscription_id not in self._readers:
                heads = {}
            for stream_id in self._streams.pop(subscription_id, ()):
                self._unfollow(stream_id, subscription_id)
            for stream_id in heads:
                self._followers.setdefault(stream_id, set()).add(subscription_id)
            self._heads.update(heads)
            if heads:
                self._streams[subscription_id] = tuple(heads)

    def _unfollow(self, stream_id, subscription_id):
        followers = self._followers[stream_id]
        followers.discard(subscription_id)
        if not followers:
            del self._followers[stream_id], self._heads[stream_id]

    def heads(self):
        """``{stream id: number of the newest event known}`` of all streams that are followed."""
        return self._heads

    def followers(self, stream_ids):
        """The ids of the Subscriptions that follow any of the streams."""
        return {subscription_id for stream_id in stream_ids for subscription_id in self._followers[stream_id]}
