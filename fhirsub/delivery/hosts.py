"""What each host is spared: too many notifications at once, too many a second, and any while it answers nothing.

One host's trouble takes no more than its share of what this server can have under way, however many subscriptions
notify it. Being held back is no attempt: it uses up nothing of a schedule.
"""
from __future__ import annotations

import random
from dataclasses import dataclass
from urllib.parse import urlsplit

from .breaker import Breaker
from .channels import TryLater
from .rate import Bucket

REMEMBERED = 1024  # hosts, at least; beyond them those with nothing to remember are forgotten
SPACING_S = 0.003  # between those sent away for want of a place: coming again costs the database a round trip


@dataclass(eq=False)
class Host:
    """What is known of ``host:port``; ``promised_at`` is when the last of those that were sent away may come again."""

    breaker: Breaker
    bucket: Bucket
    in_flight: int = 0
    promised_at: float = 0.0

    def promise_s(self, now, interval_s):
        """Seconds until the next one sent away may come again: one each interval, or all would come at once in vain."""
        self.promised_at = max(self.promised_at, now) + interval_s
        return self.promised_at - now


class Hosts:
    """All hosts that are or were sent to; from one thread.

    :param config: its ``host_in_flight`` and ``host_rate``
    :param draw: gives a number in [0, 1)
    """

    def __init__(self, config, draw=random.random):
        self._in_flight, self._rate, self._draw = config.host_in_flight, config.host_rate, draw
        self._hosts, self._sweep_at = {}, REMEMBERED

    def enter(self, url, now):
        """Begin an attempt, which :meth:`leave` has to end.

        :param now: seconds of a monotonic clock; tells the attempt from others
        :returns: the :class:`Host`
        :raises TryLater: not now, and when
        """
        host = self._host(urlsplit(url).netloc.rpartition("@")[2].lower(), now)
        self._hold_back(host.breaker.wait_s(now, self._draw), "the endpoint's host answers nothing")
        if host.in_flight >= self._in_flight:
            self._hold_back(host.promise_s(now, SPACING_S), "the endpoint's host has enough to do")
        if host.bucket.wait_s(now) > 0:
            self._hold_back(host.promise_s(now, 1 / self._rate), "the endpoint's host is notified as often as may be")
        host.bucket.take()
        host.breaker.began(now)
        host.in_flight += 1
        return host

    def leave(self, host, error, began, now):
        """The attempt that began at ``began`` has ended; see :meth:`~fhirsub.delivery.breaker.Breaker.ended`."""
        host.in_flight -= 1
        host.breaker.ended(error, began, now)

    def _host(self, name, now):
        if name not in self._hosts:
            if len(self._hosts) >= self._sweep_at:
                self._forget(now)
            self._hosts[name] = Host(Breaker(), Bucket(self._rate, now))
        return self._hosts[name]

    def _forget(self, now):
        self._hosts = {name: host for name, host in self._hosts.items()
                       if host.in_flight or not host.breaker.closed or not host.bucket.full(now)}
        self._sweep_at = max(REMEMBERED, 2 * len(self._hosts))

    @staticmethod
    def _hold_back(wait_s, why):
        if wait_s > 0:
            raise TryLater(wait_s, why, attempted=False)
