"""Threads for channels that block: a call that takes too long is left behind, and its thread with it.

Python cannot end a thread. So that channels that hang use up neither the others' threads nor a subscription's lease,
their calls count as failed, and what they come to later is not listened to.
"""
from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Callable

from .channels import TryLater


@dataclass(eq=False)
class _Call:
    function: Callable
    argument: Any
    future: Future = field(default_factory=Future)
    deadline: float = 0.0  # by time.monotonic()


class Threads:
    """Runs up to ``limit`` calls at once, each on a thread of its own and for ``timeout_s`` at most."""

    def __init__(self, limit, timeout_s):
        self._limit, self._timeout_s = limit, timeout_s
        self._waiting, self._running = deque(), {}  # the latter in the order of their deadlines
        self._changed, self._closed, self._watching = threading.Condition(), False, False

    def submit(self, function, argument):
        """Call ``function(argument)`` as soon as there is a thread.

        :returns: a Future of what it returns; raises what it raises, or TryLater when it takes too long
        """
        call = _Call(function, argument)
        with self._changed:
            if self._closed:
                call.future.cancel()
                return call.future
            self._waiting.append(call)
            self._start()
            if not self._watching:
                self._watching = True
                threading.Thread(target=self._watch, name="fhirsub-channel-watch", daemon=True).start()
        return call.future

    def close(self):
        """Drop what has not begun; what is running ends by itself."""
        with self._changed:
            self._closed = True
            dropped, self._waiting = list(self._waiting), deque()
            self._changed.notify_all()
        for call in dropped:
            call.future.cancel()

    def _start(self):
        while self._waiting and len(self._running) < self._limit:
            call = self._waiting.popleft()
            call.deadline = time.monotonic() + self._timeout_s
            if not self._running:
                self._changed.notify_all()
            self._running[call] = True
            threading.Thread(target=self._run, args=(call,), name="fhirsub-channel", daemon=True).start()

    def _run(self, call):
        try:
            result = call.function(call.argument)
        except BaseException as error:  # whatever a channel raises: one send never stops the others
            if self._leave(call):
                call.future.set_exception(error)
        else:
            if self._leave(call):
                call.future.set_result(result)

    def _leave(self, call):
        """Make room for the next; False if the call was left behind before."""
        with self._changed:
            left = self._running.pop(call, False)
            self._start()
            return left

    def _watch(self):
        while (call := self._overdue()) is not None:
            if self._leave(call):
                call.future.set_exception(TryLater(
                    None, f"the channel did not return within {self._timeout_s:g} s", throttled=True, error="timeout"))

    def _overdue(self):
        """Wait for a call to take too long; None once this is closed."""
        with self._changed:
            while not self._closed:
                oldest = next(iter(self._running), None)
                left_s = None if oldest is None else oldest.deadline - time.monotonic()
                if left_s is not None and left_s <= 0:
                    return oldest
                self._changed.wait(left_s)
        return None
