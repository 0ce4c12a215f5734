"""Addresses of hosts, asked for once in a few seconds: the Subscriptions of one Bundle share their endpoints.

For the check at the door only; the address that is sent to is resolved and judged anew with each connection.
"""
from __future__ import annotations

import socket
from datetime import timedelta

KEPT = timedelta(seconds=5)
MAX_KEPT = 1000


class Resolver:
    """``socket.getaddrinfo`` that remembers, also that a name has no address: that takes the longest to find out.

    :param now: callable giving the time
    """

    def __init__(self, now, resolve=socket.getaddrinfo):
        self._now, self._resolve = now, resolve
        self._kept = {}

    def __call__(self, host, port, type):
        now = self._now()
        found, until = self._kept.get((host, port), ([], now))
        if not now < until <= now + KEPT:  # over, or from before the clock was set back
            found = self._found(host, port, type)
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            self._kept[host, port] = found, now + KEPT
        return found

    def _found(self, host, port, type):
        try:
            return self._resolve(host, port, type=type)
        except OSError:
            return []
