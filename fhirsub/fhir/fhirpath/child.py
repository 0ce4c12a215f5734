"""The process that evaluates FHIRPath for a :mod:`.sandbox`: ``python -m fhirsub.fhir.fhirpath.child FD``.

It holds nothing but the request, opens nothing, and ends with its parent. A timer of processor time raises an error in
what runs as Python; a second one kills what does not come back from C.
Spec: https://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

import os
import resource
import signal
import socket
import sys
from typing import Any

from . import frames
from .run import DEADLINE_S, MAX_RESOLVED

# Before the deadline, so that the child may say it and live on.
_WARNING_S = 0.08
# Ten times what it takes when idle.
_MEMORY_BYTES = 256 * 1024 * 1024
_ANSWER_BYTES = 1024 * 1024
# Trees of 500 parts are vetted to be nested 50 deep, and the engine takes some ten calls for each.
_RECURSION = 10_000
# How often a child without work looks whether it is an orphan.
_LOOK_S = 10
_TIMERS = (signal.SIGVTALRM, signal.SIGPROF)


class _Limit(BaseException):
    """Not an Exception: the engine catches those in places."""


def main(descriptor: int) -> None:
    from . import whole  # noqa: F401  now, and not on the time of the first expression
    parent = os.getppid()
    connection = socket.socket(fileno=descriptor)
    _limit()
    connection.settimeout(_LOOK_S)
    while os.getppid() == parent:   # it may be an orphan whose socket a fork of the parent holds open
        try:
            if not connection.recv(1, socket.MSG_PEEK):
                return
        except TimeoutError:
            continue
        answer = _answer(frames.receive(connection), connection)
        frames.send(connection, answer)
        if answer.get("spent"):
            return


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.setrecursionlimit(_RECURSION)
    signal.signal(signal.SIGVTALRM, _warn)


def _warn(number: int, frame: Any) -> None:
    raise _Limit(f"takes more than {DEADLINE_S * 1000:.0f} ms")


def _answer(request: dict, connection: socket.socket) -> dict:
    """``{"found": […]}`` or ``{"failed": str}``, which tells nothing of the values; ``"spent"`` if it is the last."""
    try:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, _WARNING_S)
            signal.setitimer(signal.ITIMER_PROF, DEADLINE_S)
            return {"found": _evaluate(request, connection)}
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
    except _Limit as limit:
        return costly(str(limit))
    except MemoryError:
        return costly("needs too much memory") | {"spent": True}
    except RecursionError:
        return costly("recurses too deep")
    except Exception as error:  # the engine raises no narrower class
        return {"failed": f"the expression does not fit the values of this resource ({type(error).__name__}): "
                          "one value or another type is expected where it finds several or another"}


def costly(what: str) -> dict:
    """The answer for an expression that is over a limit."""
    return {"failed": f"the expression {what} on this resource; narrow its paths", "costly": True}


def _evaluate(request: dict, connection: socket.socket) -> list[Any]:
    from . import whole     # not by the parent, which imports this module for its name and its limits

    asked = 0

    def resolve(value: Any) -> list[dict]:
        nonlocal asked
        asked += 1
        if asked > MAX_RESOLVED:
            raise _Limit(f"resolves more than {MAX_RESOLVED} references")
        # A conversation broken off would leave its answer to be taken for the next request.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TIMERS)
        try:
            frames.send(connection, {"resolve": value})
            return frames.receive(connection)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _TIMERS)

    found = whole.evaluate(request["text"], request["current"], request["previous"], request["variables"], resolve)
    if len(frames.encode(found)) > _ANSWER_BYTES:
        raise MemoryError
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]))
