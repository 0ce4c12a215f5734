"""A host that answers nothing is left alone, but for one attempt now and then that finds out whether it is back.

Any answer is one, 500 too: it is the trouble of one endpoint, and its subscription has a schedule for it. So endpoints
that fail cost their neighbours on the same host nothing as long as the host answers one of them.

Spec: https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
"""
from __future__ import annotations

UNANSWERED = 10      # attempts in a row without an answer
UNCONNECTED = 5      # attempts in a row without even a connection
SHORTEST_S, LONGEST_S = 1.0, 900.0
PATIENCE = 4         # the host is asked again after a quarter of the time it has been away

_NOT_CONNECTED = ("dns", "unreachable", "tls")


class Breaker:
    """Of one host; times are seconds of a monotonic clock."""

    def __init__(self):
        self._probe = None
        self._answered(float("-inf"))

    @property
    def closed(self):
        """Whether nothing speaks against the host."""
        return self._away_since is None

    def wait_s(self, now, draw):
        """Seconds until the host may be asked; 0: now.

        :param draw: gives a number in [0, 1): those that wait for the outcome of a probe come back spread out
        """
        if self._again_at is None:
            return 0.0
        if self._probe is not None:
            return SHORTEST_S + draw() * self._pause_s(now)
        return max(0.0, self._again_at - now)

    def began(self, now):
        """An attempt is on its way; while the host is away, it is the probe."""
        if self._again_at is not None:
            self._probe = now

    def ended(self, error, began, now):
        """What came of an attempt.

        :param error: None if the host answered anything, else the class of the failure; "forbidden" is none of its
        :param began: when; a failure of before the last answer says nothing about the host
        """
        if self._probe == began:
            self._probe = None
        if error is None:
            self._answered(now)
        elif error != "forbidden" and began >= self._answered_at:
            self._failed(error, began, now)

    def _answered(self, now):
        self._answered_at, self._away_since, self._again_at = now, None, None
        self._unanswered = self._unconnected = 0

    def _failed(self, error, began, now):
        if self._away_since is None:
            self._away_since = began
        self._unanswered += 1
        self._unconnected = self._unconnected + 1 if error in _NOT_CONNECTED else 0
        if self._again_at is not None or self._unanswered >= UNANSWERED or self._unconnected >= UNCONNECTED:
            self._again_at = now + self._pause_s(now)

    def _pause_s(self, now):
        return min(max((now - self._away_since) / PATIENCE, SHORTEST_S), LONGEST_S)
