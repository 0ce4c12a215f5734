"""Dates as spans. Spec: https://hl7.org/fhir/R4/datatypes.html#date"""
from datetime import datetime, timedelta, timezone

import pytest

from fhirsub.fhir.instants import instant_text, parse_instant, span
from fhirsub.fhir.values import MAX, MIN


def us(*parts):
    return (datetime(*parts, tzinfo=timezone.utc) - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(microseconds=1)


@pytest.mark.parametrize("text, low, high", [
    ("2024", us(2024, 1, 1), us(2025, 1, 1)),
    ("2024-02", us(2024, 2, 1), us(2024, 3, 1)),
    ("2024-12", us(2024, 12, 1), us(2025, 1, 1)),
    ("2024-02-29", us(2024, 2, 29), us(2024, 3, 1)),
    ("2024-12-31", us(2024, 12, 31), us(2025, 1, 1)),
    ("2024-02-29T10:30", us(2024, 2, 29, 10, 30), us(2024, 2, 29, 10, 31)),
    ("2024-02-29T10:30Z", us(2024, 2, 29, 10, 30), us(2024, 2, 29, 10, 31)),
    ("2024-02-29T10:30:05", us(2024, 2, 29, 10, 30, 5), us(2024, 2, 29, 10, 30, 6)),
    ("2024-02-29T10:30:05Z", us(2024, 2, 29, 10, 30, 5), us(2024, 2, 29, 10, 30, 6)),
    ("2024-02-29T23:59:59Z", us(2024, 2, 29, 23, 59, 59), us(2024, 3, 1)),
    ("2024-03-01T01:30:05+02:00", us(2024, 2, 29, 23, 30, 5), us(2024, 2, 29, 23, 30, 6)),
    ("2024-02-29T20:00:00-05:30", us(2024, 3, 1, 1, 30), us(2024, 3, 1, 1, 30, 1)),
    ("2024-02-29T10:30:05.5Z", us(2024, 2, 29, 10, 30, 5, 500000), us(2024, 2, 29, 10, 30, 5, 600000)),
    ("2024-02-29T10:30:05.120Z", us(2024, 2, 29, 10, 30, 5, 120000), us(2024, 2, 29, 10, 30, 5, 121000)),
    ("2024-02-29T10:30:05.123456789Z", us(2024, 2, 29, 10, 30, 5, 123456), us(2024, 2, 29, 10, 30, 5, 123457)),
    ("2016-12-31T23:59:60Z", us(2017, 1, 1), us(2017, 1, 1, 0, 0, 1)),
    ("1969-12-31T23:59:59.5Z", -500_000, -400_000),
    ("0001", MIN, us(2, 1, 1)),
    ("9999", us(9999, 1, 1), MAX),
    ("9999-12", us(9999, 12, 1), MAX),
    ("9999-12-31", us(9999, 12, 31), MAX),
    ("0001-01-01T00:00:00+14:00", MIN, MIN + 1_000_000),
    ("9999-12-31T23:59:59-12:00", MAX - 1, MAX),
])
def test_span_covers_what_the_precision_leaves_open(text, low, high):
    assert span(text) == (low, high)


@pytest.mark.parametrize("text", [
    "", "24", "20240229", "2024-2", "2024-02-30", "2023-02-29", "2024-13", "2024-00", "2024-01-32", "0000", "0000-01-01",
    "2024-01-01T", "2024-01-01T10", "2024-01-01T24:00:00Z", "2024-01-01T10:60:00Z", "2024-01-01T10:00:61Z",
    "2024-01-01T10:00:00.Z", "2024-01-01T10:00:00+1:00", "2024-01-01T10:00:00+14:01", "2024-01-01T10:00:00+02:60",
    "2024-01-01 10:00:00Z", "2024-01-01T10:00:00Z ", "2024-01-01\n", "٢٠٢٤", "yesterday", "-2024"])
def test_span_refuses_what_is_no_date(text):
    with pytest.raises(ValueError, match="date"):
        span(text)


@pytest.mark.parametrize("text, moment", [
    ("2024-02-29T10:30:05Z", datetime(2024, 2, 29, 10, 30, 5, tzinfo=timezone.utc)),
    ("2024-02-29T10:30:05.123456+02:00", datetime(2024, 2, 29, 8, 30, 5, 123456, tzinfo=timezone.utc)),
])
def test_parse_instant_gives_utc(text, moment):
    assert parse_instant(text) == moment
    assert parse_instant(text).tzinfo is timezone.utc


@pytest.mark.parametrize("text", ["2024-02-29", "2024-02-29T10:30Z", "2024-02-29T10:30:05", "2024-02-29T10:30:05.123", ""])
def test_parse_instant_refuses_what_needs_no_zone(text):
    with pytest.raises(ValueError, match="instant"):
        parse_instant(text)


def test_instant_text_is_utc_in_milliseconds():
    moment = datetime(2024, 2, 29, 10, 30, 5, 123999, tzinfo=timezone(timedelta(hours=2)))
    assert instant_text(moment) == "2024-02-29T08:30:05.123Z"
    assert instant_text(datetime(2024, 1, 1, tzinfo=timezone.utc)) == "2024-01-01T00:00:00.000Z"
