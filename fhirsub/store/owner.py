"""Who holds a lease, named so that others can tell when it has died."""
from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

_HOST_LENGTH = 64  # the lease column holds 128 characters


def owner_token():
    """A name for one worker of this process: ``host/pid namespace/pid-start/random``."""
    return f"{_here()}/{os.getpid()}-{_started(os.getpid())}/{uuid.uuid4().hex[:12]}"


def is_dead(token):
    """Whether the process that made ``token`` is known to have ended; False for one that cannot be seen from here.

    The start time tells a process from a later one with the same number: in a container it is 1 every time.
    """
    place, _, rest = token.rpartition("/")[0].rpartition("/")
    pid, _, started = rest.partition("-")
    if place != _here() or not pid.isdigit() or not started:
        return False
    return _started(int(pid)) != started


def _here():
    try:
        namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        namespace = "0"
    return f"{socket.gethostname()[:_HOST_LENGTH].replace('/', '-')}/{namespace}"


def _started(pid):
    """When the process started, in clock ticks since boot; "?" where the system does not tell; "" if there is none."""
    if not Path("/proc/self/stat").exists():
        return "?"
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else fields[18]
