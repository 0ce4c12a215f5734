"""Search on both databases: what SQL finds is what Criteria.test says, page by page, by the index."""
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from fhirsub.errors import BadRequest, UnsupportedCriteria
from fhirsub.fhir.criteria import parse
from fhirsub.fhir.search_values import SearchValues
from fhirsub.store import versions
from fhirsub.store.search import clause, find
from fhirsub.store.tables import resource, search_value
from questions import BASE, RESOURCES, criteria, resources

NOW = datetime(2024, 2, 10, 8, 15, 30, 123000, tzinfo=timezone.utc)


def write(tx, *bodies, now=NOW):
    """Store resources, each a millisecond after the one before."""
    return [versions.write(tx, body, now=now + timedelta(milliseconds=number), base_url=BASE)
            for number, body in enumerate(bodies)]


def patients(*ids, **elements):
    return [{"resourceType": "Patient", "id": id, **elements} for id in ids]


def ids(page):
    return [version.id for version in page.versions]


def found(tx, text, **options):
    return ids(find(tx, parse(text, BASE), count=1000, **options))


@pytest.mark.parametrize("resource_type", sorted(RESOURCES))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_find_answers_as_criteria_test_does(database, resource_type, data):
    bodies = data.draw(st.lists(resources(resource_type), min_size=1, max_size=6, unique_by=lambda body: body["id"]))
    asked = [parse(text, BASE) for text in data.draw(st.lists(criteria(resource_type), min_size=1, max_size=6))]
    with database.engine.connect() as tx:
        tx.execution_options(fhirsub_writes=True)
        with tx.begin() as transaction:
            written = [(version.id, SearchValues(version.resource, BASE)) for version in write(tx, *bodies)]
            for one in asked:
                expected = sorted(id for id, values in written if one.test(values))
                assert sorted(ids(find(tx, one, count=100))) == expected, one.canonical()
            transaction.rollback()


def test_find_sees_only_current_versions_of_the_type(database):
    with database.write() as tx:
        write(tx, *patients("a", "b", "c", gender="male"), {"resourceType": "Practitioner", "id": "d", "gender": "male"})
        write(tx, *patients("a", gender="female"))
        versions.delete(tx, "Patient", "b", now=NOW)
        assert found(tx, "Patient?gender=male") == ["c"]
        assert found(tx, "Patient?gender=female") == ["a"]
        assert found(tx, "Patient") == ["a", "c"]
        assert found(tx, "Patient?gender:not=male") == ["a"]
        assert found(tx, "Patient?_id=a,b,d") == ["a"]


@pytest.mark.parametrize(("asked", "expected"), [
    ("2024-02-10T08:15:30.123Z", ["a"]), ("ge2024-02-10T08:15:30.124Z", ["b", "c"]), ("2024-02-10", ["a", "b", "c"]),
    ("lt2024", []), ("ne2024-02-10T08:15:30.124Z", ["a", "c"])])
def test_find_by_last_updated_to_the_millisecond(database, asked, expected):
    with database.write() as tx:
        write(tx, *patients("a", "b", "c"))
        assert found(tx, f"Patient?_lastUpdated={asked}") == expected


@pytest.mark.parametrize(("asked", "kind"), [
    ("RiskAssessment?probability=0.8", "number"), ("Observation?value-quantity=5", "quantity"),
    ("Observation?value-quantity:missing=true", "quantity"), ("Observation?code-value-quantity=a$5", "composite")])
def test_clause_refuses_kinds_that_have_no_rows(asked, kind):
    with pytest.raises(UnsupportedCriteria, match=f"{kind} parameter is not yet supported in search"):
        clause(parse(asked))


def test_find_pages_through_everything_once_while_others_write(database):
    with database.write() as tx:
        write(tx, *patients("a", "b", "c", "d", "e"))
    seen, after = [], None
    for number in range(3):
        with database.write() as tx:
            page = find(tx, parse("Patient"), count=2, after=after)
            seen, after = seen + ids(page), page.next
            assert page.total == 5 + number
            write(tx, *patients(f"0-{number}"))
    assert seen == ["a", "b", "c", "d", "e", "0-0"]


@pytest.mark.parametrize(("sort", "expected"), [
    (("_id",), "abcd"), (("-_id",), "dcba"), (("-_lastUpdated",), "bdac"), (("_lastUpdated", "-_id"), "cadb"), ((), "cadb")])
def test_find_sorts_alike_on_every_page(database, sort, expected):
    with database.write() as tx:
        write(tx, *patients("c", "a"))
        write(tx, *patients("d"), now=NOW + timedelta(seconds=1))
        write(tx, *patients("b"), now=NOW + timedelta(seconds=1, milliseconds=1))
        pages, after = [], None
        while not pages or after:
            page = find(tx, parse("Patient"), count=1, sort=sort, after=after, total=False)
            pages, after = pages + ids(page), page.next
        assert "".join(pages) == expected
        assert page.total is None


def test_find_breaks_ties_of_the_sort_by_creation(database):
    with database.write() as tx:
        for id in "cab":
            write(tx, *patients(id))
        first = find(tx, parse("Patient"), count=2, sort=["-_lastUpdated"])
        rest = find(tx, parse("Patient"), count=2, sort=["-_lastUpdated"], after=first.next)
        assert (ids(first), ids(rest), rest.next) == (["c", "a"], ["b"], None)


def test_find_counts_only_when_asked_for_no_page(database):
    with database.write() as tx:
        write(tx, *patients("a", "b"))
        assert find(tx, parse("Patient"), count=0) == ([], 2, None)


def test_find_refuses_other_orders_and_foreign_cursors(sqlite_database):
    with sqlite_database.write() as tx:
        write(tx, *patients("a", "b"))
        with pytest.raises(UnsupportedCriteria, match="sorts by _lastUpdated, _id"):
            find(tx, parse("Patient"), count=1, sort=["birthdate"])
        cursor = find(tx, parse("Patient"), count=1).next
        for bad in ("x", "!", "W10", "WzFd", "é", cursor + "A", "W1tdLDFlMzBd", "W1tdLDkyMjMzNzIwMzY4NTQ3NzU4MDhd"):
            with pytest.raises(BadRequest, match="take the link of the page before"):
                find(tx, parse("Patient"), count=1, after=bad)
        with pytest.raises(BadRequest):
            find(tx, parse("Patient"), count=1, sort=["_id"], after=cursor)


@pytest.mark.parametrize("asked", [
    "Patient?identifier=http://acme.org/mrn|1", "Patient?family=abc", "Patient?family:exact=Abc",
    "Patient?birthdate=1980", "Patient?organization=1", "Patient?identifier=Ab,http://acme.org/mrn|2",
    "Patient?_profile=http://a,http://b", "Patient?_profile:below=http://acme.org/", "Patient?identifier=Ab&active=true&gender:not=male"])
def test_find_starts_from_the_index_on_sqlite(sqlite_database, asked):
    with sqlite_database.read() as tx:
        statement = select(resource.c.key).where(clause(parse(asked)))
        compiled = statement.compile(tx.engine, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))]
    assert any("USING INTEGER PRIMARY KEY (rowid=?)" in step and "fhirsub_resource" in step for step in plan), plan
    assert any("ix_fhirsub_search_value_" in step and ("value" in step or "low" in step) for step in plan), plan
    assert not any(step.startswith("SCAN fhirsub") for step in plan), plan


def test_starts_with_is_a_range_of_code_points_on_postgresql(postgresql_database):
    collation = text("SELECT collation_name FROM information_schema.columns "
                     "WHERE table_name = :of AND column_name = 'value'").bindparams(of=search_value.name)
    with postgresql_database.read() as tx:
        assert tx.execute(collation).scalar_one() == "C"


def test_find_matches_texts_longer_than_an_index_entry(database):
    long = "日本" * 2000
    with database.write() as tx:
        write(tx, *patients("a", name=[{"family": long + "end"}], identifier=[{"system": "http://s", "value": long}]),
              *patients("b", name=[{"family": long + "other"}], identifier=[{"system": "http://s", "value": long + "x"}]))
        assert found(tx, "Patient?family=" + "日本" * 200) == ["a", "b"]
        assert found(tx, "Patient?family:contains=" + "本" + "日本" * 1000 + "end") == ["a"]
        assert found(tx, f"Patient?family:exact={long}other") == ["b"]
        assert found(tx, f"Patient?identifier={long}") == ["a"]
        with pytest.raises(UnsupportedCriteria, match="at most 436 characters"):
            found(tx, "Patient?family=" + "a" * 437)


def test_find_takes_like_wildcards_literally(database):
    with database.write() as tx:
        write(tx, *patients("a", name=[{"family": "50% off"}]), *patients("b", name=[{"family": "50 off"}]),
              *patients("c", name=[{"family": "a_b/c"}]), *patients("d", name=[{"family": "axb/c"}]))
        assert found(tx, "Patient?family:contains=0%25") == ["a"]
        assert found(tx, "Patient?family:contains=_b/") == ["c"]
        assert found(tx, "Patient?family=a_") == ["c"]


def test_find_takes_as_many_values_as_criteria_may_have(database):
    with database.write() as tx:
        write(tx, *patients("a", identifier=[{"value": "X399"}]))
        assert found(tx, "Patient?identifier=" + ",".join(f"X{number}" for number in range(400))) == ["a"]
        assert found(tx, "Patient?birthdate:missing=true&name=" + ",".join(f"x{number}" for number in range(399))) == []


def test_write_survives_what_no_database_can_store(database):
    with database.write() as tx:
        write(tx, *patients("a", name=[{"family": "a\0b"}], identifier=[{"value": "\0"}]))
        assert found(tx, "Patient?family=a") == ["a"]
