"""Search on both databases: what SQL finds is what Criteria.test says, page by page, by the index."""
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from fhirsub.errors import BadRequest, UnsupportedCriteria
from fhirsub.fhir.criteria import parse
from fhirsub.fhir.search_values import SearchValues
from fhirsub.store import versions
from fhirsub.store.search import find
from fhirsub.store.search_clause import clause
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
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
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


def test_find_refuses_foreign_cursors(sqlite_database):
    with sqlite_database.write() as tx:
        write(tx, *patients("a", "b"))
        cursor = find(tx, parse("Patient"), count=1).next
        for bad in ("x", "!", "W10", "WzFd", "é", cursor + "A", "W1tdLDFlMzBd", "W1tdLDkyMjMzNzIwMzY4NTQ3NzU4MDhd"):
            with pytest.raises(BadRequest, match="take the link of the page before"):
                find(tx, parse("Patient"), count=1, after=bad)
        with pytest.raises(BadRequest):
            find(tx, parse("Patient"), count=1, sort=["_id"], after=cursor)


def steps(database, asked):
    """What SQLite would do to answer."""
    with database.read() as tx:
        statement = select(resource.c.key).where(clause(parse(asked)))
        compiled = statement.compile(tx.engine, compile_kwargs={"literal_binds": True})
        return [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))]


@pytest.mark.parametrize("asked", [
    "Patient?identifier=http://acme.org/mrn|1", "Patient?family=abc", "Patient?family:exact=Abc",
    "Patient?birthdate=1980", "Patient?organization=1", "Patient?identifier=Ab,http://acme.org/mrn|2",
    "RiskAssessment?probability=0.8", "Observation?value-quantity=5.4|http://unitsofmeasure.org|mg",
    "Observation?value-quantity=gt5", "Observation?value-quantity=lt5||mg",
    "Observation?code-value-quantity=http://loinc.org|1$gt5", "MolecularSequence?chromosome-window-coordinate=1$gt5$lt9",
    "Observation?combo-code-value-quantity=1$gt5,2$lt5&status=final&date=gt2020",
    "Patient?_profile=http://a,http://b", "Patient?_profile:below=http://acme.org/", "Patient?identifier=Ab&active=true&gender:not=male"])
def test_find_starts_from_the_index_on_sqlite(sqlite_database, asked):
    plan = steps(sqlite_database, asked)
    assert any("USING INTEGER PRIMARY KEY (rowid=?)" in step and "fhirsub_resource" in step for step in plan), plan
    assert any("ix_fhirsub_search_value_" in step and "parameter=? AND " in step for step in plan), plan
    assert not any(step.startswith("SCAN fhirsub") for step in plan), plan


@pytest.mark.parametrize("asked", [
    "date=gt2020", "value-quantity=5", "code-value-quantity=http://loinc.org|1$5", "date:missing=true"])
def test_find_looks_into_each_resource_found_and_no_further_on_sqlite(sqlite_database, asked):
    plan = steps(sqlite_database, f"Observation?_id=1&{asked}")
    read = [step for step in plan if "fhirsub_search_value" in step]
    assert read and all("ix_fhirsub_search_value_resource_key" in step for step in read), plan


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


def numbered(resource_type, element, **values):
    """Resources of the type, each with its own value of one element."""
    return [{"resourceType": resource_type, "id": id, element: value} for id, value in values.items()]


def measure(number, unit="mg", system="http://unitsofmeasure.org", **others):
    return {"value": Decimal(number), "unit": unit, "system": system, "code": unit, **others}


@pytest.mark.parametrize(("asked", "expected"), [
    ("5.4", ["a", "b"]), ("5.40", ["a"]), ("gt5.4", ["b", "d", "f"]), ("ge5.4", ["a", "b", "d", "f"]),
    ("lt5.4", ["c", "e"]),
    ("ne5.4", ["c", "d", "e", "f"]), ("sa5.449", ["d", "f"]), ("eb5", ["c"]), ("ap5", ["a", "b", "d", "e"]),
    ("5.4|http://unitsofmeasure.org|mg", ["a", "b"]), ("gt0||g", ["d"]), ("gt0||milligrams", ["f"]),
    ("gt0||x", []), ("0|urn:x|mg", [])])
def test_find_by_quantity_to_the_last_digit(database, asked, expected):
    """Spec: https://hl7.org/fhir/R4/search.html#quantity; e is anything below 5, d anything from 5.45 g"""
    with database.write() as tx:
        write(tx, *numbered("Observation", "valueQuantity", a=measure("5.4"), b=measure("5.449"), c=measure("-5.4"),
                            d=measure("5.45", "g", comparator=">="), e=measure("5", comparator="<"),
                            f=measure("12345678901234567890.000000001", unit="milligrams")))
        assert found(tx, f"Observation?value-quantity={asked}") == expected


@pytest.mark.parametrize(("asked", "expected"), [
    ("code-value-quantity=http://loinc.org|1$gt5", ["a"]), ("code-value-quantity=2$5", []),
    ("component-code-value-quantity=sys$lt100", []), ("component-code-value-quantity=sys$120", ["a"]),
    ("component-code-value-quantity=dia$120", []), ("component-code-value-quantity=dia$120,dia$80", ["a"]),
    ("combo-code-value-quantity=http://loinc.org|1$gt5&combo-code-value-quantity=dia$lt90", ["a"]),
    ("component-code-value-concept=sys$high", ["b"]), ("component-code-value-concept=dia$high", [])])
def test_find_by_composite_wants_its_components_at_one_place(database, asked, expected):
    """Spec: https://hl7.org/fhir/R4/search.html#combining"""
    def coded(code, **value):
        return {"code": {"coding": [{"code": code}]}, **value}
    with database.write() as tx:
        write(tx, {"resourceType": "Observation", "id": "a", "valueQuantity": measure("7"),
                   "code": {"coding": [{"system": "http://loinc.org", "code": "1"}]},
                   "component": [coded("sys", valueQuantity=measure("120")), coded("dia", valueQuantity=measure("80"))]},
              {"resourceType": "Observation", "id": "b", "component": [
                  coded("sys", valueCodeableConcept={"coding": [{"code": "high"}]}),
                  coded("dia", valueCodeableConcept={"coding": [{"code": "low"}]})]})
        assert found(tx, f"Observation?{asked}") == expected


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
        for code, value in [("value-quantity", "ne{}|urn:x|mg"), ("value-quantity", "{}"), ("code-value-quantity", "a$ne{}")]:
            assert found(tx, f"Observation?{code}=" + ",".join(value.format(number) for number in range(400))) == []


def test_write_survives_what_no_database_can_store(database):
    with database.write() as tx:
        write(tx, *patients("a", name=[{"family": "a\0b"}], identifier=[{"value": "\0"}]))
        assert found(tx, "Patient?family=a") == ["a"]
