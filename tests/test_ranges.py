"""Ranges in the index: what a range matches is found by equality, and little else is."""
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from questions import probes

from fhirsub.fhir.criteria import parse
from fhirsub.fhir.criteria.keys import access
from fhirsub.fhir.search_values import SearchValues

ENDS = ["1e-30", "-1e-30", "0", "-0.001", "5.4", "5.41", "180", "181", "-40", "1e9", "1e400", "-1e400"]
numbers = st.one_of(st.sampled_from(ENDS).map(Decimal), st.decimals(-1000, 1000, places=2), st.decimals(
    allow_nan=False, allow_infinity=False))
days = st.dates().map(str)
times = st.datetimes().map(lambda moment: moment.isoformat(timespec="seconds") + "Z")
dates = st.one_of(days, days.map(lambda day: day[:7]), days.map(lambda day: day[:4]), times)
PREFIXES = ["", "gt", "ge", "lt", "le", "sa", "eb", "ap"]
WRITTEN = ["{}{:.2f}", "{}{:.0f}", "{}{:.1f}e-3", "{}{:.0f}e3"]


def _observation(number, start, end, values):
    component = [{"valueQuantity": {"value": value}} for value in values]
    period = {name: moment for name, moment in (("start", start), ("end", end)) if moment}
    return {"resourceType": "Observation", "id": "o", "code": {"coding": [{"code": "a"}]}, "valueQuantity": {"value": number}, "component": component,
            "effectivePeriod": period}


observations = st.builds(_observation, numbers, st.none() | dates, st.none() | dates, st.lists(numbers, max_size=2))
asked_numbers = st.builds(str.format, st.sampled_from(WRITTEN), st.sampled_from(PREFIXES),
                          st.decimals(-1000, 1000, places=2))
asked_dates = st.builds("{}{}".format, st.sampled_from(PREFIXES), dates)
clauses = st.one_of(
    st.builds("{}={}".format, st.sampled_from(["value-quantity", "combo-value-quantity", "component-value-quantity"]),
              st.lists(asked_numbers, min_size=1, max_size=2).map(",".join)),
    st.builds("date={}".format, st.lists(asked_dates, min_size=1, max_size=2).map(",".join)))


@settings(max_examples=1000, deadline=None)
@given(st.lists(clauses, min_size=1, max_size=3).map("&".join), observations)
def test_range_that_matches_is_found_by_its_keys(query, observation):
    asked, values = parse(f"Observation?{query}"), SearchValues(observation)
    assert not asked.test(values) or set(asked.keys()) & probes(asked, values)


@pytest.mark.parametrize(("criteria", "needs"), [
    ("Observation?value-quantity=gt5.4", ["high:value-quantity"]), ("Observation?date=lt2024", ["low:date"]),
    ("Observation?date=2024-05-01", ["low:date"]), ("Observation?date=ap2024", ["low:date", "begin:date"]),
    ("Observation?date=ge2024-05-01&date=lt2024-06-01", ["low:date", "begin:date"]),
    ("Observation?date=ge2024&date=gt2025", ["high:date"]),
    ("Observation?date=ne2024&value-quantity=gt5", ["high:value-quantity"]),
    ("Observation?date=gt2024&code=x", []), ("Observation?code=x&value-quantity=gt5", ["code+high:code&value-quantity"]), ("Observation?status=final&date=gt2024", []),
    ("Observation?status=final&date=ge2024-05-01&date=le2024-05-02", ["low:date", "begin:date"])])
def test_range_asks_for_the_ends_that_it_compares(criteria, needs):
    assert list(access(parse(criteria).predicates).needs) == needs


def _of(number, start=None, end=None):
    return _observation(Decimal(number), start, end, [])


def _candidate(criteria, observation):
    asked = parse(f"Observation?{criteria}")
    return bool(set(asked.keys()) & probes(asked, SearchValues(observation)))


@pytest.mark.parametrize(("criteria", "near", "far"), [
    ("value-quantity=gt180", _of("180.5"), _of("175")), ("value-quantity=lt-5.4", _of("-5.41"), _of("-5.2")),
    ("value-quantity=ge5&value-quantity=lt6", _of("5.9"), _of("6.1")),
    ("date=2024-05-01", _of("0", "2024-05-01", "2024-05-01"), _of("0", "2024-04-30", "2024-05-30")),
    ("date=ge2024-05-01&date=lt2024-06-01", _of("0", "2010-01-01"), _of("0", "2024-06-03")),
    ("date=ge2024-05-01&date=lt2024-06-01", _of("0", "2024-05-03", "2024-05-03"), _of("0", "2010-01-01", "2024-04-28"))])
def test_range_is_no_candidate_for_what_is_far_from_it(criteria, near, far):
    assert _candidate(criteria, near) and not _candidate(criteria, far)


@settings(max_examples=200, deadline=None)
@given(clauses)
def test_range_is_filed_under_few_keys(clause):
    assert len(parse(f"Observation?{clause}").keys()) <= 2 * (8 + 7)
