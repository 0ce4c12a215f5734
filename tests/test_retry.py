from datetime import datetime, timedelta, timezone
from email.utils import format_datetime

import pytest

from fhirsub.config import Config
from fhirsub.delivery.retry import Schedule, retry_after_s

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


def schedule(pauses="5 300 1800", floor_s=60.0, draw=0.5):
    return Schedule(Config({"RETRY_SCHEDULE_S": pauses, "RETRY_FLOOR_S": floor_s}, {}), draw=lambda: draw)


def test_pauses_follow_schedule_until_it_is_used_up():
    assert [schedule().pause_s(attempts) for attempts in (1, 2, 3, 4)] == [5, 300, 1800, None]


def test_default_schedule_is_that_of_standard_webhooks():
    every = Schedule(Config({}, {}), draw=lambda: 0.5)
    assert sum(every.pauses_s) == timedelta(hours=75, minutes=35, seconds=5).total_seconds()


@pytest.mark.parametrize("draw, pause_s", [(0.0, 240), (0.25, 270), (0.999999, 360)])
def test_pause_varies_by_a_fifth(draw, pause_s):
    assert schedule(draw=draw).pause_s(2) == pytest.approx(pause_s, rel=1e-4)


def test_throttled_pause_has_a_floor():
    assert schedule().pause_s(1, throttled=True) == 60
    assert schedule().pause_s(2, throttled=True) == 300


@pytest.mark.parametrize("attempts, asked_s, pause_s", [
    (1, 0, 5), (1, 2, 5), (1, 120, 120), (1, 7200, 3600), (3, 60, 1800), (3, 3500, 3500), (3, 1e9, 3600), (3, 2400, 2400)])
def test_retry_after_is_clamped(attempts, asked_s, pause_s):  # to [base, max(2 * base, 3600)]
    assert schedule().pause_s(attempts, asked_s, throttled=True) == pause_s


def test_retry_after_does_not_prolong_schedule():
    assert schedule().pause_s(4, 10) is None


@pytest.mark.parametrize("pauses", ["5,300", "5 nan", "-5", "5 inf", "1e12"])
def test_schedule_that_is_no_list_of_seconds_is_refused(pauses):
    with pytest.raises(ValueError, match="RETRY_SCHEDULE_S"):
        schedule(pauses)


@pytest.mark.parametrize("text, seconds", [
    ("120", 120), (" 7 ", 7), ("0", 0), (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90),
    (format_datetime(NOW - timedelta(seconds=90), usegmt=True), 0), ("Sun, 01 Mar 2026 12:01:00 -0000", 60),
    (None, None), ("", None), ("soon", None), ("-5", None), ("1.5", None), ("²", None), ("9" * 400, 1e9)])
def test_retry_after_reads_seconds_and_http_dates(text, seconds):
    assert retry_after_s(text, NOW) == seconds
