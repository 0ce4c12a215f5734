"""A lock that is taken in the order of asking.

A plain Lock goes to whoever is awake when it is released, mostly the one who had it: with eight writers the slowest
one in a hundred waited 170 ms for it, in order 25 ms, at the same number of writes per second.
"""
from __future__ import annotations

import threading
from collections import deque


class Turn:
    """``with turn:`` one at a time, first come, first served; not reentrant."""

    def __init__(self):
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            mine.acquire()  # released by the one before
        except BaseException:  # a greenlet can be killed here
            self._withdraw(mine)
            raise

    def __exit__(self, *exception) -> None:
        with self._guard:
            self._next()

    def _withdraw(self, mine: threading.Lock) -> None:
        with self._guard:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                self._next()  # it was our turn already

    def _next(self) -> None:
        if self._waiting:
            self._waiting.popleft().release()
        else:
            self._taken = False
