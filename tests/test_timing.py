"""When periodic triggers are due. Spec: https://hl7.org/fhir/R4/datatypes.html#Timing"""
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given, settings, strategies as st

from fhirsub.errors import Unprocessable
from fhirsub.fhir.topics.timing import check, next_due

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)    # a Wednesday
TICK = timedelta(microseconds=1)


def repeat(**elements):
    return {"repeat": elements}


def due(timing, after=NOON, count=3):
    """The next due times as text, ``["2024-05-02T08:00", …]``."""
    check(timing, "timing")
    found = []
    while len(found) < count and (after := next_due(timing, after)):
        found.append(after)
    assert all(one.utcoffset() == timedelta() for one in found)
    return [one.isoformat(timespec="minutes").removesuffix("+00:00") for one in found]


@pytest.mark.parametrize("timing, times", [
    ("2024-05-02", ["2024-05-02T00:00"]),
    ("2024-05-01T14:30:00+02:00", ["2024-05-01T12:30"]),
    ("2024-05-01T12:00:00Z", []),
    ("2025", ["2025-01-01T00:00"]),
    ({"event": ["2024-06-01", "2020-01-01", "2024-05-02T10:00:00Z"]}, ["2024-05-02T10:00", "2024-06-01T00:00"]),
    (repeat(period=1, periodUnit="h"), ["2024-05-01T13:00", "2024-05-01T14:00", "2024-05-01T15:00"]),
    (repeat(frequency=3, period=1, periodUnit="d"), ["2024-05-01T16:00", "2024-05-02T00:00", "2024-05-02T08:00"]),
    (repeat(period=Decimal("0.5"), periodUnit="h"), ["2024-05-01T12:30", "2024-05-01T13:00", "2024-05-01T13:30"]),
    (repeat(period=1, periodUnit="wk"), ["2024-05-06T00:00", "2024-05-13T00:00", "2024-05-20T00:00"]),
    (repeat(period=1, periodUnit="mo"), ["2024-06-01T00:00", "2024-07-01T00:00", "2024-08-01T00:00"]),
    (repeat(period=1, periodUnit="a", boundsPeriod={"start": "2020-02-29"}),
     ["2025-02-28T00:00", "2026-02-28T00:00", "2027-02-28T00:00"]),
    (repeat(period=1, periodUnit="mo", boundsPeriod={"start": "2024-01-31T09:00:00Z"}),
     ["2024-05-31T09:00", "2024-06-30T09:00", "2024-07-31T09:00"]),
    (repeat(timeOfDay=["20:00:00", "08:00:00"]), ["2024-05-01T20:00", "2024-05-02T08:00", "2024-05-02T20:00"]),
    (repeat(dayOfWeek=["mon", "fri"]), ["2024-05-03T00:00", "2024-05-06T00:00", "2024-05-10T00:00"]),
    (repeat(frequency=4, period=1, periodUnit="wk", dayOfWeek=["mon", "fri"], timeOfDay=["06:00:00", "18:00:00"]),
     ["2024-05-03T06:00", "2024-05-03T18:00", "2024-05-06T06:00"]),
    (repeat(period=12, periodUnit="h", dayOfWeek=["sun"]),
     ["2024-05-05T00:00", "2024-05-05T12:00", "2024-05-12T00:00"]),
    (repeat(period=1, periodUnit="s", dayOfWeek=["tue"]), ["2024-05-07T00:00"] * 3),
    (repeat(period=1, periodUnit="d", timeOfDay=["08:00:00"], boundsPeriod={"start": "2024-05-03T00:00:00+02:00"}),
     ["2024-05-03T06:00", "2024-05-04T06:00", "2024-05-05T06:00"]),
    (repeat(period=1, periodUnit="d", boundsPeriod={"end": "2024-05-03"}), ["2024-05-02T00:00", "2024-05-03T00:00"]),
    (repeat(period=1, periodUnit="d", count=3, boundsPeriod={"start": "2024-04-30"}), ["2024-05-02T00:00"]),
    (repeat(period=7, periodUnit="d", dayOfWeek=["tue"]), ["2024-05-07T00:00", "2024-05-14T00:00", "2024-05-21T00:00"]),
    (repeat(period=Decimal("3.5"), periodUnit="d", dayOfWeek=["sun"]), []),
    ({"event": ["2024-05-01T12:30:00Z"], **repeat(period=1, periodUnit="h")},
     ["2024-05-01T12:30", "2024-05-01T13:00", "2024-05-01T14:00"]),
])
def test_trigger_is_due_when_its_timing_says(timing, times):
    assert due(timing) == times


@pytest.mark.parametrize("timing, words", [
    ({"reference": "Schedule/1"}, "follows no Schedule"),
    ({"code": {"text": "BID"}}, "timing.code"),
    ({}, "it says no time"),
    ({"event": ["2024-13-01"]}, r"timing.event\[0\]"),
    ("2024-02-30", "no date"),
    (repeat(frequency=2), "repeat.period"),
    (repeat(frequency=3, dayOfWeek=["mon", "wed", "fri"]), "repeat.period"),
    (repeat(periodUnit="wk", dayOfWeek=["mon"]), "repeat.period"),
    (repeat(period=0, periodUnit="d"), "more than 0"),
    (repeat(period=Decimal("0.5"), periodUnit="mo"), "whole months"),
    (repeat(period=1, periodUnit="d", when=["MORN"]), "repeat.when"),
    (repeat(period=1, periodUnit="d", offset=30), "repeat.offset"),
    (repeat(period=1, periodUnit="d", periodMax=2), "repeat.periodMax"),
    (repeat(period=1, periodUnit="d", boundsDuration={"value": 3}), "boundsDuration"),
    (repeat(period=1, periodUnit="d", count=3), "boundsPeriod.start"),
    (repeat(period=1, periodUnit="d", count=10_001, boundsPeriod={"start": "2024"}), "at most 10000"),
    (repeat(period=1, periodUnit="mo", dayOfWeek=["mon"]), "dayOfWeek"),
    (repeat(period=4, periodUnit="h", timeOfDay=["08:00:00"]), "timeOfDay"),
    (repeat(frequency=3, period=1, periodUnit="d", timeOfDay=["08:00:00"]), "make 1 in a period; got 3"),
    (repeat(frequency=2, period=1, periodUnit="mo"), "not divided"),
    (repeat(frequency=2, period=1, periodUnit="s"), "once a second"),
    (repeat(period=Decimal("0.000000001"), periodUnit="d", timeOfDay=["08:00:00"]), "once a second"),
    (repeat(timeOfDay=["08:00:60"]), "no time of day"),
])
def test_timing_is_refused_with_the_element_when_it_cannot_be_kept(timing, words):
    with pytest.raises(Unprocessable, match=words):
        check(timing, "timing")


moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda at: at.replace(tzinfo=timezone.utc))
bounds = st.sampled_from([{}, {"boundsPeriod": {"start": "2010-03-31T22:15:00-05:00"}},
                          {"boundsPeriod": {"start": "2003-07-09T07:00:00+02:00", "end": "2099"}}])
days = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1, unique=True)
clock = st.lists(st.sampled_from(["00:00:00", "07:30:00", "23:59:59"]), min_size=1, unique=True)
rhythms = st.one_of(
    st.fixed_dictionaries({"period": st.integers(1, 40),
                           "periodUnit": st.sampled_from(["min", "h", "d", "wk", "mo", "a"])}),
    st.fixed_dictionaries({"period": st.integers(1, 9), "periodUnit": st.just("d"), "frequency": st.integers(1, 7)}),
    st.fixed_dictionaries({"period": st.integers(1, 5), "periodUnit": st.just("wk"), "dayOfWeek": days,
                           "timeOfDay": clock}),
    st.fixed_dictionaries({"period": st.integers(1, 90), "periodUnit": st.just("min"), "dayOfWeek": days}),
    st.fixed_dictionaries({"period": st.integers(1, 5), "periodUnit": st.just("mo"), "timeOfDay": clock}))
timings = st.builds(lambda rhythm, bound: {"repeat": rhythm | bound}, rhythms, bounds)


@given(timings, moments, st.floats(0, 1))
@settings(max_examples=300, deadline=None)
def test_due_time_is_one_and_the_same_whenever_it_is_asked_for_before(timing, after, part):
    first = next_due(timing, after)
    if first is not None:
        assert first > after
        between = after + (first - after) * part
        assert next_due(timing, min(between, first - TICK)) == first
        assert (next_due(timing, first) or first + TICK) > first


@given(timings, moments, st.integers(1, 400))
@settings(max_examples=200, deadline=None)
def test_trigger_fires_once_after_a_downtime_and_then_at_the_next_due_time(timing, after, away_h):
    """What the matcher does: it fires when now has reached next_at, and moves next_at past now."""
    back = after + timedelta(hours=away_h)
    missed = next_due(timing, after)
    if missed is not None and missed <= back:
        following = next_due(timing, back)
        assert following is None or following > back >= missed


@given(st.integers(1, 3), days, clock, moments)
@settings(max_examples=100, deadline=None)
def test_due_times_are_those_that_a_walk_over_all_days_finds(weeks, of_week, of_day, after):
    names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    monday = datetime(1970, 1, 5, tzinfo=timezone.utc)
    start = after.replace(hour=0, minute=0, second=0, microsecond=0)
    walked = [day + timedelta(hours=int(at[:2]), minutes=int(at[3:5]), seconds=int(at[6:]))
              for day in (start + timedelta(days=n) for n in range(130))
              if names[day.weekday()] in of_week and (day - monday).days // 7 % weeks == 0 for at in sorted(of_day)]
    expected = [at for at in walked if at > after][:5]
    timing = repeat(period=weeks, periodUnit="wk", dayOfWeek=of_week, timeOfDay=of_day)
    found, at = [], after
    while len(found) < 5:
        found.append(at := next_due(timing, at))
    assert found == expected
