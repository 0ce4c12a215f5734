"""Evaluate FHIRPath by fhirpathpy in a child process, which can be killed where a thread cannot.

One child for a process, started when first needed and again after it was killed; it evaluates one expression at a time.
Spec: https://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import threading
from functools import lru_cache
from typing import Any

from ...errors import ExpressionFailed
from . import child, frames
from .run import DEADLINE_S, TOO_COSTLY, Scope, parameter, resolved
from .vetting import CONSTANTS

# The child counts processor time; this is for a machine so busy, or a child so stuck, that none passes.
_WAIT_S = 20
_KILLED = child.costly(f"takes more than {DEADLINE_S * 1000:.0f} ms") | {"spent": True}


def evaluate(text: str, scope: Scope, names: frozenset[str] = frozenset()) -> list[Any]:
    """The JSON values that an expression selects, as fhirpathpy finds them.

    :param text: vetted; it begins at ``scope.resource``
    :param names: the parameters in it
    :raises ExpressionFailed: over a limit, or wrong for these values; the text tells nothing of them
    """
    variables = CONSTANTS | {name: parameter(scope, name) for name in names}
    request = {"text": text, "current": scope.current, "previous": scope.previous, "variables": variables}
    return _of_process(os.getpid()).evaluate(request, scope)


@lru_cache(maxsize=1)   # by process, so that a forked worker does not talk to its parent's child
def _of_process(pid: int) -> Sandbox:
    return Sandbox(pid)


class Sandbox:
    """The child of this process. Threads and greenlets take turns."""

    def __init__(self, pid: int):
        self._pid = pid
        # Made here and not with the module: after gevent has patched it, if it does.
        self._turn = threading.Lock()
        self._child: subprocess.Popen | None = None
        self._socket: socket.socket | None = None
        atexit.register(self.close)

    def evaluate(self, request: dict, scope: Scope) -> list[Any]:
        with self._turn:
            answer = self._ask(request, scope)
        if "found" in answer:
            return answer["found"]
        raise ExpressionFailed(answer["failed"], code=TOO_COSTLY if answer.get("costly") else None)

    def close(self) -> None:
        """End the child; the next evaluation starts another."""
        if self._child and os.getpid() == self._pid:
            self._child.kill()
            self._child.wait()
            self._socket.close()
        self._child = self._socket = None

    def _ask(self, request: dict, scope: Scope) -> dict:
        for _ in range(2):
            if not self._child:
                self._start()
            try:
                answer = self._converse(request, scope) or self._told_by_its_end()
            except TimeoutError:
                answer = _KILLED
            except (BrokenPipeError, ConnectionResetError):
                answer = self._told_by_its_end()
            except BaseException:   # resolve() failed, and the child waits for what it brings
                self.close()
                raise
            if not answer or answer.get("spent"):
                self.close()
            if answer:
                return answer
        raise ExpressionFailed("the process that evaluates expressions was ended from outside, twice", code="transient")

    def _converse(self, request: dict, scope: Scope) -> dict | None:
        """Send the request, look up what the child wants to have resolved, and take its answer; None: it is gone."""
        frames.send(self._socket, request)
        while (answer := frames.receive(self._socket)) and "resolve" in answer:
            frames.send(self._socket, resolved(answer["resolve"], scope))
        return answer

    def _told_by_its_end(self) -> dict | None:
        """What the end of the child says of the expression; None if something else ended it."""
        try:
            ended = self._child.wait(_WAIT_S)
        except subprocess.TimeoutExpired:
            return None
        return _KILLED if ended == -signal.SIGPROF else None

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            # No environment but what it needs to find this package: there may be secrets in it.
            self._child = subprocess.Popen(
                [sys.executable, "-m", child.__name__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ours.settimeout(_WAIT_S)
        self._socket = ours
