"""How often one host is sent to: a bucket of tokens that fills again evenly.

Spec: https://www.rfc-editor.org/rfc/rfc2697
"""
from __future__ import annotations


class Bucket:
    """Lets ``per_s`` through a second, and after a quiet time ``most`` at once; all, if ``per_s`` is 0.

    :param now: seconds of a monotonic clock; likewise below
    :param most: None: a second's worth
    """

    def __init__(self, per_s, now, most=None):
        self._per_s, self._most, self._at = per_s, most or max(per_s, 1), now
        self._tokens = self._most

    def wait_s(self, now):
        """Seconds until one more may be sent."""
        self._fill(now)
        return 0.0 if not self._per_s or self._tokens >= 1 else (1 - self._tokens) / self._per_s

    def take(self):
        """One is sent."""
        self._tokens -= 1

    def full(self, now):
        """Whether nothing was sent for a while."""
        self._fill(now)
        return not self._per_s or self._tokens >= self._most

    def _fill(self, now):
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
