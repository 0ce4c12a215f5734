"""When to try again: the schedule of pauses, and what an endpoint itself asks for.

Spec: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after
"""
from __future__ import annotations

import random
from datetime import timezone
from email.utils import parsedate_to_datetime

JITTER = 0.2           # ±20 %, so that the subscriptions of one endpoint do not come back all at once
LONGEST_ASKED_S = 3600  # Retry-After may stretch a short pause up to this
LONGEST_S = 365 * 86_400  # what waits for longer is not waited for, and far from now there is no date any more


class Schedule:
    """The pauses between the attempts of one notification.

    :param config: its ``retry_schedule_s`` ("5 300 1800") and ``retry_floor_s``
    :param draw: gives a number in [0, 1)
    :raises ValueError: the schedule is not a list of seconds
    """

    def __init__(self, config, draw=random.random):
        try:
            self.pauses_s = [_seconds(pause) for pause in config.retry_schedule_s.split()]
        except ValueError:
            raise ValueError("FHIRSUB_RETRY_SCHEDULE_S: expected seconds such as '5 300 1800', "
                             f"got {config.retry_schedule_s!r}") from None
        self.floor_s = config.retry_floor_s
        self._draw = draw

    def pause_s(self, attempts, after_s=None, throttled=False):
        """Seconds to the next attempt; None when the schedule is used up.

        :param attempts: failed attempts of this notification so far, 1 or more
        :param after_s: what the endpoint asked for, clamped to [pause, max(2 · pause, 3600)]
        :param throttled: it did not answer in time, or said that it has too much to do
        """
        if attempts > len(self.pauses_s):
            return None
        base = self.pauses_s[attempts - 1]
        if after_s is not None:
            return min(max(after_s, base), max(2 * base, LONGEST_ASKED_S))
        pause = base * (1 - JITTER + 2 * JITTER * self._draw())
        return max(pause, self.floor_s) if throttled else pause


def _seconds(text):
    pause_s = float(text)
    if not 0 <= pause_s <= LONGEST_S:
        raise ValueError(text)
    return pause_s


def retry_after_s(text, now):
    """Seconds that a ``Retry-After`` header asks for: a number or an HTTP date; 0 for a past one, None if unreadable.

    :param now: aware UTC datetime
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), 1e9)
    try:
        asked = parsedate_to_datetime(text)
    except (ValueError, IndexError):
        return None
    if asked.tzinfo is None:  # "-0000", or no zone: an HTTP date is always GMT
        asked = asked.replace(tzinfo=timezone.utc)
    return max(0.0, (asked - now).total_seconds())
