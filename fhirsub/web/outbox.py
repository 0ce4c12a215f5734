"""What one socket has yet to write: answers in order, and how many pings for which bind."""
from __future__ import annotations

import threading
from collections.abc import Callable

# A client this far behind gets one ping for all: they carry nothing, and a matcher's batch is not that large.
MERGE_OVER = 1000


class Outbox:
    """Filled by the tail, emptied by the socket's own thread; its size is bounded by the binds, not by the events.

    :param filled: called after something was put in
    """

    def __init__(self, filled: Callable[[], None]):
        self._filled = filled
        self._answers = []
        self._pings = {}  # {reader: (count, event number that they lead up to)}
        self._lock = threading.Lock()

    def answer(self, text):
        """Have a text written, before any ping."""
        with self._lock:
            self._answers.append(text)
        self._filled()

    def ping(self, reader, count, number):
        """Have ``count`` more pings written, which lead up to event ``number``."""
        with self._lock:
            waiting, _ = self._pings.get(reader, (0, 0))
            count += waiting
            self._pings[reader] = (1 if count > MERGE_OVER else count, number)
        self._filled()

    def forget(self, reader):
        """Write no more pings for this reader."""
        with self._lock:
            self._pings.pop(reader, None)

    def take(self):
        """Empty the outbox.

        :returns: ``([answer, …], {reader: (count, number)})``
        """
        with self._lock:
            taken = self._answers, self._pings
            self._answers, self._pings = [], {}
        return taken
