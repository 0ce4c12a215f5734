"""History of a resource, a type and everything. Spec: https://hl7.org/fhir/R4/http.html#history"""
from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from fhirsub.errors import BadRequest
from fhirsub.store import versions
from fhirsub.store.history import history

NOW = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)


def at(seconds):
    return NOW + timedelta(seconds=seconds)


@pytest.fixture
def filled(database):
    """Patient/a 1-3 at seconds 0, 1, 2; Patient/b 1 at 1; Observation/a 1 at 2; Patient/b deleted at 3."""
    for second, type, id in [(0, "Patient", "a"), (1, "Patient", "a"), (1, "Patient", "b"), (2, "Patient", "a"),
                             (2, "Observation", "a")]:
        with database.write() as tx:
            versions.write(tx, {"resourceType": type, "id": id}, now=at(second))
    with database.write() as tx:
        versions.delete(tx, "Patient", "b", now=at(3))
    return database


def names(found):
    return [f"{version.type[0]}{version.id}{version.version_id}" for version in found]


def read(database, *scope, count=100, **limits):
    with database.read() as tx:
        return history(tx, *scope, count=count, **limits)


@pytest.mark.parametrize("scope, expected", [
    ((), ["Pb2", "Oa1", "Pa3", "Pb1", "Pa2", "Pa1"]),
    (("Patient",), ["Pb2", "Pa3", "Pb1", "Pa2", "Pa1"]),
    (("Patient", "a"), ["Pa3", "Pa2", "Pa1"]),
    (("Patient", "b"), ["Pb2", "Pb1"]),
    (("Patient", "c"), []),
    (("Group",), [])])
def test_history_is_newest_first(filled, scope, expected):
    found, total, cursor = read(filled, *scope)
    assert (names(found), total, cursor) == (expected, len(expected), None)


def test_history_has_deletes(filled):
    found, _, _ = read(filled, "Patient", "b")
    assert [(version.interaction, version.deleted) for version in found] == [("delete", True), ("create", False)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6])
def test_pages_make_up_the_whole(filled, count):
    everything, total, _ = read(filled)
    found, cursor = [], None
    while True:
        page, of, cursor = read(filled, count=count, before=cursor)
        assert of == total and len(page) <= count
        found += page
        if cursor is None:
            break
    assert found == everything


def test_pages_do_not_move_when_something_is_written(filled):
    first, _, cursor = read(filled, count=2)
    with filled.write() as tx:
        versions.write(tx, {"resourceType": "Patient", "id": "a"}, now=at(9))
    second, _, _ = read(filled, count=2, before=cursor)
    assert names(first + second) == ["Pb2", "Oa1", "Pa3", "Pb1"]


def test_versions_of_one_moment_are_in_order_of_their_numbers(database):
    for _ in range(3):
        with database.write() as tx:
            versions.write(tx, {"resourceType": "Patient", "id": "a"}, now=NOW)
    assert names(read(database)[0]) == ["Pa3", "Pa2", "Pa1"]


def test_count_zero_asks_for_the_total(filled):
    assert read(filled, count=0) == ([], 6, None)


def test_since_is_inclusive(filled):
    assert names(read(filled, since=at(2))[0]) == ["Pb2", "Oa1", "Pa3"]


@pytest.mark.parametrize("low, high, expected", [
    (0.5, 0.6, ["Pa1"]),
    (0.5, 1.5, ["Pb1", "Pa2", "Pa1"]),
    (1, 1.001, ["Pb1", "Pa2"]),
    (2.5, 2.6, ["Oa1", "Pa3", "Pb1"]),
    (5, 6, ["Pb2", "Oa1", "Pa3"]),
    (-5, 0, [])])
def test_at_finds_what_was_current_then(filled, low, high, expected):
    found, total, _ = read(filled, at=(at(low), at(high)))
    assert (names(found), total) == (expected, len(expected))


@pytest.mark.parametrize("cursor", ["x", "1-2", "1-2-3-4", f"{10**30}-1-1"])
def test_cursor_of_another_server_is_refused(database, cursor):
    with pytest.raises(BadRequest, match="link"):
        read(database, before=cursor)
