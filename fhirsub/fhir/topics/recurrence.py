"""Timing.repeat as times: every so often, on days of the week, at times of the day, within bounds.

The period is counted from ``boundsPeriod.start``; without one from Monday, 5 January 1970 (months and years from the
1st), midnight UTC. Days and times of day are those of the start's zone, else of UTC.

Spec: https://hl7.org/fhir/R4/datatypes.html#Timing
"""
from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, time, timedelta, timezone
from itertools import islice
from typing import Any, NoReturn

from ...errors import Unprocessable
from ..instants import DAY, EPOCH, SECOND, span

_LENGTHS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "wk": 7 * DAY}
_MONTHS = {"mo": 1, "a": 12}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONDAY = EPOCH + timedelta(days=4)
_KNOWN = {"id", "boundsPeriod", "count", "frequency", "period", "periodUnit", "dayOfWeek", "timeOfDay"}
_ZONE = re.compile(r"([+-])(\d\d):(\d\d)")

MAX_COUNT = 10_000  # each is counted from the start
MAX_PERIOD = 10_000
MAX_IDLE = 1_000    # periods in a row without a day of the week that was asked for: there is none to come


@dataclass(frozen=True)
class Recurrence:
    """Times that come back.

    :ivar anchor: where the first period begins, in the zone of its days and times
    :ivar start: nothing is due before; None: always was
    :ivar end: nothing is due from here on
    :ivar length: of a period in microseconds; 0 where it is counted in ``months``
    :ivar parts: into how many equal parts a period is divided
    :ivar days: of the week, Monday is 0
    """

    anchor: datetime
    start: datetime | None
    end: datetime | None
    length: int
    months: int
    parts: int
    days: frozenset[int]
    times: tuple[time, ...]
    count: int | None

    def next_due(self, after: datetime) -> datetime | None:
        """The first time after ``after``; None if there is none."""
        if self.count is None:
            return next(self._due(after), None)
        counted = islice(self._due(self.start - timedelta(microseconds=1)), self.count)
        return next((due for due in counted if due > after), None)

    def _due(self, after: datetime) -> Iterator[datetime]:
        step, idle = self._step(after) - 1, 0
        if self.start is not None:
            step = max(step, 0)
        try:
            while idle < MAX_IDLE:
                point, idle = self._at(step), idle + 1
                for due in self._times_of(point):
                    if self.end is not None and due >= self.end:
                        return
                    if due > after and (self.start is None or due >= self.start):
                        idle = 0
                        yield due.astimezone(timezone.utc)
                step = self._following(step, point)
        except (OverflowError, ValueError):  # the calendar ends with the year 9999
            return

    def _step(self, moment: datetime) -> int:
        """The step whose part of a period ``moment`` is in."""
        moment = moment.astimezone(self.anchor.tzinfo)
        if self.months:
            return ((moment.year - self.anchor.year) * 12 + moment.month - self.anchor.month) // self.months
        return (moment - self.anchor) // timedelta(microseconds=1) * self.parts // self.length

    def _at(self, step: int) -> datetime:
        """Where a step begins; a month that has no 31st gives its last day."""
        if not self.months:
            return self.anchor + timedelta(microseconds=step * self.length // self.parts)
        years, month = divmod(self.anchor.month - 1 + step * self.months, 12)
        year = self.anchor.year + years
        day = min(self.anchor.day, monthrange(year, month + 1)[1])
        return self.anchor.replace(year=year, month=month + 1, day=day)

    def _following(self, step: int, point: datetime) -> int:
        """The step after; one of many on a day that is none of ours leads to the next day."""
        if not self.days or point.weekday() in self.days or self.months or self.length // self.parts >= DAY:
            return step + 1
        return max(step + 1, self._step(_midnight(point) + timedelta(days=1)))

    def _times_of(self, point: datetime) -> Iterator[datetime]:
        """What is due in the step that begins at ``point``, in order."""
        for day in self._days_of(point):
            if self.times:
                yield from (datetime.combine(day, at, day.tzinfo) for at in self.times)
            else:
                yield day

    def _days_of(self, point: datetime) -> list[datetime]:
        if not self.days:
            return [point]
        if self.length % _LENGTHS["wk"]:
            return [point] if point.weekday() in self.days else []
        monday = point - timedelta(days=point.weekday())
        return [monday + timedelta(days=day) for day in sorted(self.days)]


def read(repeat: dict[str, Any], where: str = "repeat") -> Recurrence:
    """Understand a ``Timing.repeat``, ``{"period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"], …}``.

    :raises Unprocessable: an element would have to be ignored, or several contradict each other; names it
    """
    for name in repeat:
        if name not in _KNOWN:
            _refuse(where, name, "this server does not evaluate it; it keeps to " + ", ".join(sorted(_KNOWN - {"id"})))
    length, months = _period(repeat, where)
    days = frozenset(_DAYS.index(name) for name in repeat.get("dayOfWeek", ()))
    times = tuple(sorted({_time(text, where) for text in repeat.get("timeOfDay", ())}))
    _check_days(where, length, months, days, times)
    start, end, zone = _bounds(repeat.get("boundsPeriod", {}), f"{where}.boundsPeriod")
    anchor = (start or (EPOCH if months else _MONDAY)).astimezone(zone)
    parts = _parts(repeat, where, length, months, days, times)
    return Recurrence(anchor, start, end, length, months, parts, days, times, _count(repeat, where, start))


def moment(text: str, where: str = "time") -> datetime:
    """A date or dateTime as the instant at which it begins; without a zone it is UTC.

    :raises Unprocessable: there is no such day or time
    """
    return _instant(_span(text, where)[0])


def _span(text: str, where: str) -> tuple[int, int]:
    try:
        return span(text)
    except ValueError as error:
        raise Unprocessable(f"{where}: {error}", expression=where, code="value") from None


def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _midnight(moment: datetime) -> datetime:
    return datetime.combine(moment, time(), moment.tzinfo)


def _period(repeat: dict[str, Any], where: str) -> tuple[int, int]:
    """``(microseconds, 0)`` or ``(0, months)``."""
    if not {"period", "periodUnit", "frequency"} & repeat.keys() and {"dayOfWeek", "timeOfDay"} & repeat.keys():
        return DAY, 0
    period, unit = repeat.get("period"), repeat.get("periodUnit")
    if period is None or unit is None:
        _refuse(where, "period", "how often is it due? Give period and periodUnit, or dayOfWeek, or timeOfDay")
    if not 0 < period <= MAX_PERIOD:
        _refuse(where, "period", f"expected more than 0 and at most {MAX_PERIOD}; got {period}")
    if unit in _LENGTHS:
        length = int(period * _LENGTHS[unit])
        if length < SECOND * repeat.get("frequency", 1):
            _refuse(where, "period", "it would be due more often than once a second")
        return length, 0
    if period != int(period):
        _refuse(where, "period", f"expected whole months or years; got {period}")
    return 0, int(period) * _MONTHS[unit]


def _check_days(where: str, length: int, months: int, days: frozenset[int], times: tuple[time, ...]) -> None:
    if days and months:
        _refuse(where, "dayOfWeek", "expected a period up to weeks; a day of the week of a month is not evaluated")
    if times and not months and length % DAY:
        _refuse(where, "timeOfDay", "expected a period of whole days, weeks, months or years")


def _parts(repeat: dict[str, Any], where: str, length: int, months: int, days: frozenset[int],
           times: tuple[time, ...]) -> int:
    """How many parts a period has, if its days and times do not say when ``frequency`` is reached."""
    frequency = repeat.get("frequency")
    weekly = days and not length % _LENGTHS["wk"]
    if times or weekly:
        told = (len(days) if weekly else 1) * (len(times) or 1)
        if frequency not in (None, told):
            _refuse(where, "frequency", f"the days and times make {told} in a period; got {frequency}")
        return 1
    if months and (frequency or 1) > 1:
        _refuse(where, "frequency", "a month or year is not divided; expected 1, or another periodUnit")
    return frequency or 1


def _bounds(period: dict[str, Any], where: str) -> tuple[datetime | None, datetime | None, timezone]:
    """Start, end (past it, for an end that is a day lasts the day), and the zone of the start."""
    start, end = (period.get(name) and _span(period[name], f"{where}.{name}") for name in ("start", "end"))
    found = _ZONE.search(period.get("start", "")[10:])
    zone = timezone.utc
    if found:
        zone = timezone((-1 if found[1] == "-" else 1) * timedelta(hours=int(found[2]), minutes=int(found[3])))
    return start and _instant(start[0]), end and _instant(end[1]), zone


def _count(repeat: dict[str, Any], where: str, start: datetime | None) -> int | None:
    count = repeat.get("count")
    if count is not None and start is None:
        _refuse(where, "count", "counted from when? Give boundsPeriod.start")
    if count is not None and count > MAX_COUNT:
        _refuse(where, "count", f"expected at most {MAX_COUNT}; got {count}")
    return count


def _time(text: str, where: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        _refuse(where, "timeOfDay", f"{text!r} is no time of day: {error}")


def _refuse(where: str, name: str, text: str) -> NoReturn:
    raise Unprocessable(f"{where}.{name}: {text}", expression=f"{where}.{name}", code="not-supported")
