"""How often something may be done, counted for each key: mails for one Subscription, refused binds of one address."""
from __future__ import annotations

import threading
import time

from .rate import Bucket

MOST_KEYS = 10_000  # then those are forgotten that have their whole allowance again


class Allowance:
    """Lets ``count`` through in ``within_s`` seconds, all at once if none came before; counted in each process."""

    def __init__(self, count, within_s):
        self._count, self._within_s = count, within_s
        self._buckets, self._lock = {}, threading.Lock()

    def take(self, key):
        """Use one.

        :returns: 0.0, or the seconds to wait for the next one: then none was used
        """
        with self._lock:
            now = time.monotonic()
            bucket = self._buckets.get(key) or self._bucket(key, now)
            wait_s = bucket.wait_s(now)
            if not wait_s:
                bucket.take()
        return wait_s

    def _bucket(self, key, now):
        if len(self._buckets) >= MOST_KEYS:
            self._buckets = {key: bucket for key, bucket in self._buckets.items() if not bucket.full(now)}
        self._buckets[key] = Bucket(self._count / self._within_s, now, self._count)
        return self._buckets[key]
