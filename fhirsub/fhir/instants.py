"""FHIR date, dateTime and instant as spans of microseconds since 1970 UTC, and instants as text.

Spec: https://hl7.org/fhir/R4/datatypes.html#date, https://hl7.org/fhir/R4/search.html#date
"""
from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone

from .values import MAX, MIN

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
SECOND = 1_000_000
DAY = 86_400 * SECOND

# Minutes without seconds are no dateTime, but a search may ask for them (R4 search, 3.1.1.4.7).
_TEXT = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
                   r"(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII)


def span(text: str) -> tuple[int, int]:
    """The time that ``text`` may mean, half open: a year, month, day, minute, second or a decimal fraction of one.

    Without a zone it is UTC: a server may choose, and only UTC means the same on every machine.

    >>> span("1970-01-01")
    (0, 86400000000)

    :raises ValueError: not a FHIR date, dateTime or instant, or no such day or time
    """
    found = _TEXT.fullmatch(text)
    if not found:
        raise ValueError(f"expected a date such as 2024, 2024-05, 2024-05-31 or 2024-05-31T09:30:00Z, got {text!r}")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        if day is None:
            return _month(int(year), int(month)) if month else (_day(int(year), 1, 1), _day(int(year) + 1, 1, 1))
        low = _day(int(year), int(month), int(day))
        if hour is None:
            return low, min(low + DAY, MAX)
        low += _time(int(hour), int(minute), int(second or 0)) - _offset(zone)
    except ValueError as error:
        raise ValueError(f"{text!r} is no date: {error}") from None
    return _precise(low, second, fraction)


def _day(year: int, month: int, day: int) -> int:
    """Midnight UTC; the end of the calendar for the first day after it."""
    return MAX if year == 10_000 else (date(year, month, day).toordinal() - EPOCH.toordinal()) * DAY


def _month(year: int, month: int) -> tuple[int, int]:
    return _day(year, month, 1), _day(year + month // 12, month % 12 + 1, 1)


def _time(hour: int, minute: int, second: int) -> int:
    """Since midnight; a leap second, which a FHIR dateTime may be, is the second after it as in POSIX time."""
    if hour > 23 or minute > 59 or second > 60:
        raise ValueError("hours go to 23, minutes to 59, seconds to 59 (60 for a leap second)")
    return ((hour * 60 + minute) * 60 + second) * SECOND


def _offset(zone: str | None) -> int:
    """Of local time from UTC, east is positive."""
    if zone in (None, "Z"):
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    if minutes > 14 * 60 or int(zone[4:6]) > 59:
        raise ValueError(f"zone {zone} must be within 14:00")
    return minutes * 60 * SECOND * (-1 if zone[0] == "-" else 1)


def _precise(low: int, second: str | None, fraction: str | None) -> tuple[int, int]:
    length = SECOND
    if second is None:
        length = 60 * SECOND
    elif fraction:
        # Finer than a microsecond is the microsecond it falls in.
        low += int(fraction[:6].ljust(6, "0"))
        length = 10 ** max(0, 6 - len(fraction))
    # A zone can push the first and the last day over the edge of the calendar.
    low = min(max(low, MIN), MAX - 1)
    return low, min(low + length, MAX)


def parse_instant(text: str) -> datetime:
    """``2024-01-01T00:00:00.000+01:00`` as an aware UTC datetime.

    :raises ValueError: not a FHIR instant (date, time to the second and zone)
    """
    if len(text) < 20 or text[-1] != "Z" and text[-6] not in "+-":
        raise ValueError(f"expected an instant such as 2024-05-31T09:30:00.000Z, got {text!r}")
    return EPOCH + timedelta(microseconds=span(text)[0])


def instant_text(moment: datetime) -> str:
    """An aware datetime as FHIR instant in UTC, in milliseconds: ``2024-01-01T00:00:00.000Z``."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
