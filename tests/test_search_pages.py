"""The order of a search and its pages, on both databases. Spec: https://hl7.org/fhir/R4/search.html#sort"""
import json
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from fhirsub.errors import BadRequest, UnsupportedCriteria
from fhirsub.fhir.criteria import parse
from fhirsub.store import search_pages, versions
from fhirsub.store.search import find

NOW = datetime(2024, 2, 10, 8, 15, 30, 123000, tzinfo=timezone.utc)


def write(tx, *bodies):
    for number, body in enumerate(bodies):
        versions.write(tx, body, now=NOW + timedelta(milliseconds=number), base_url="http://example.org/fhir")


def paged(tx, text, *sort, count=1):
    """The ids of every page, one after the other."""
    seen, after = "", None
    while not seen or after:
        page = find(tx, parse(text), count=count, sort=sort, after=after, total=False)
        seen, after = seen + "".join(version.id for version in page.versions), page.next
    return seen


def born(id, date):
    return {"resourceType": "Patient", "id": id, "birthDate": date}


def quantity(value, **others):
    return {"value": Decimal(value), **others}


# Written in this order; "c" has nothing to sort by.
PATIENTS = [
    {"id": "a", "birthDate": "1980-05", "name": [{"family": "Éclair"}, {"family": "zoo"}], "gender": "male",
     "managingOrganization": {"reference": "Organization/2"}, "meta": {"profile": ["http://b"]}},
    {"id": "b", "birthDate": "1980", "name": [{"family": "Muller"}], "gender": "female",
     "managingOrganization": {"reference": "Organization/1"}, "meta": {"profile": ["http://c", "http://a"]}},
    {"id": "c"},
    {"id": "d", "birthDate": "2001-01-01", "name": [{"family": "muller"}], "gender": "other",
     "managingOrganization": {"reference": "Organization/3"}, "meta": {"profile": ["http://d"]}}]


@pytest.mark.parametrize(("sort", "expected"), [
    ("birthdate", "badc"), ("-birthdate", "dbac"),      # the year begins before its May, and ends after it
    ("family", "abdc"), ("-family", "abdc"),            # the first of several values in the order asked for
    ("gender", "badc"), ("-gender", "dabc"), ("organization", "badc"), ("-organization", "dabc"),
    ("_profile", "badc"), ("-_profile", "dbac"), ("family,-birthdate", "adbc"), ("-family,_id", "abdc"),
    ("email", "abcd"), ("-email,-_id", "dcba")])
def test_find_sorts_by_any_parameter_with_the_missing_last(database, sort, expected):
    with database.write() as tx:
        write(tx, *({"resourceType": "Patient", **elements} for elements in PATIENTS))
        for count in (1, 3, 10):
            assert paged(tx, "Patient", *sort.split(","), count=count) == expected


@pytest.mark.parametrize(("sort", "expected"), [("value-quantity", "bdecaf"), ("-value-quantity", "eacbdf")])
def test_find_sorts_by_the_ends_of_quantities(database, sort, expected):
    values = {"a": quantity("10"), "b": quantity("9", comparator="<"), "c": quantity("9.9"), "d": quantity("-1e2"),
              "e": quantity("9.80", comparator=">"), "f": {"unit": "mg"}}
    with database.write() as tx:
        write(tx, *({"resourceType": "Observation", "id": id, "valueQuantity": value} for id, value in values.items()))
        assert paged(tx, "Observation", sort) == expected


def test_find_sorts_by_number(database):
    with database.write() as tx:
        write(tx, *({"resourceType": "RiskAssessment", "id": id, "prediction": [{"probabilityDecimal": Decimal(value)}]}
                    for id, value in {"a": "0.10", "b": "0.09", "c": "1e-3", "d": "0.1"}.items()))
        assert paged(tx, "RiskAssessment", "probability") == "cbad"
        assert paged(tx, "RiskAssessment?probability=gt0.01", "-probability") == "adb"


def test_find_goes_on_where_the_page_ended_while_others_write(database):
    with database.write() as tx:
        write(tx, born("a", "2000"), born("b", "2002"), {"resourceType": "Patient", "id": "c"})
        first = find(tx, parse("Patient"), count=1, sort=["birthdate"])
        write(tx, born("d", "1999"), born("e", "2001"))
        rest = find(tx, parse("Patient"), count=9, sort=["birthdate"], after=first.next)
        assert [version.id for version in first.versions + rest.versions] == ["a", "e", "b", "c"]


@pytest.mark.parametrize(("sort", "words"), [
    (["height"], "_sort=height: Patient has no such parameter"), (["--name"], "no such parameter"),
    (["name:exact"], "no such parameter"), ([f"x{number}" for number in range(11)], "more than 10")])
def test_order_refuses_what_it_does_not_know(sort, words):
    with pytest.raises(UnsupportedCriteria, match=words):
        search_pages.order(sort, "Patient")


def test_order_refuses_a_composite():
    with pytest.raises(UnsupportedCriteria, match="_sort=-code-value-quantity: a composite has no order"):
        search_pages.order(["-code-value-quantity"], "Observation")


@pytest.mark.parametrize("values", [
    ("a", None), (1, 5), ("a\0", 5), ("a\ud800", 5), ("a", "5"), ("a", True), ("a",), ("a", 5, 6), (["a"], 5), ("a", 2**63)])
def test_position_refuses_what_no_page_can_end_with(values):
    order = search_pages.order(["family"], "Patient")
    forged = urlsafe_b64encode(json.dumps([["family"], *values]).encode()).decode()
    with pytest.raises(BadRequest, match="take the link of the page before"):
        search_pages.position(forged, ["family"], order)


@pytest.mark.parametrize("values", [(None, 5), ("日本", 5), ("", 0)])
def test_position_reads_what_cursor_wrote(values):
    order = search_pages.order(["-family"], "Patient")
    assert search_pages.position(search_pages.cursor(["-family"], values), ["-family"], order) == list(values)
