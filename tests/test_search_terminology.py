"""Questions by stored value sets and code systems: SQL and memory alike, never stale, refused where nothing is stored."""
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event, select

from fhirsub.errors import UnsupportedCriteria
from fhirsub.fhir.criteria import parse, parse_query
from fhirsub.fhir.criteria.escapes import escape
from fhirsub.fhir.search_values import SearchValues
from fhirsub.store import versions
from fhirsub.store.search import find
from fhirsub.store.search_clause import clause
from fhirsub.store.tables import resource
from fhirsub.store.terminology import Expansions
from questions import BASE, CODES, RESOURCES, SYSTEMS, criteria, resources

NOW = datetime(2024, 2, 10, 8, 15, 30, 123000, tzinfo=timezone.utc)
LOINC = SYSTEMS[0]
TREE = {"resourceType": "CodeSystem", "id": "tree", "url": LOINC, "content": "complete", "concept": [
    {"code": "a|b"},
    {"code": "a", "concept": [{"code": "A"}, {"code": "ab", "concept": [{"code": "a,b"}, {"code": "ä"}]}]}]}
TOKENS = {"Patient": ["gender", "_tag"], "Observation": ["code", "category", "status", "value-concept"],
          "Condition": ["code"], "Group": ["characteristic"], "ValueSet": ["jurisdiction", "status"]}


def value_set(*include, id="vs", **more):
    return {"resourceType": "ValueSet", "id": id, "url": f"http://acme.org/{id}", "status": "active",
            "compose": {"include": list(include)}, **more}


def only(*codes, system=LOINC):
    return {"system": system, "concept": [{"code": code} for code in codes]}


STORED = [
    TREE, value_set(only("a", "ä", "100%"), only("A", "é_", system=SYSTEMS[1]), id="two"),
    value_set({"system": LOINC, "filter": [{"property": "concept", "op": "is-a", "value": "ab"}]}, id="tree"),
    value_set(only("male", system="http://hl7.org/fhir/administrative-gender"), only("final", "amended", "draft",
              system="http://hl7.org/fhir/observation-status"), id="status"),
    value_set(only(*(f"code {number}" for number in range(99)), "a"), id="large"), value_set(id="none", expansion={})]
SETS = ["http://acme.org/two", "ValueSet/tree", f"{BASE}/ValueSet/status", "http://acme.org/large", "http://acme.org/none"]


def write(tx, *bodies, now=NOW):
    return [versions.write(tx, body, now=now + timedelta(milliseconds=number), base_url=BASE)
            for number, body in enumerate(bodies)]


def observation(id, code, system=LOINC, **more):
    return {"resourceType": "Observation", "id": id, "code": {"coding": [{"system": system, "code": code}]}, **more}


def found(tx, query, resource_type="Observation"):
    return "".join(sorted(one.id for one in find(tx, parse_query(resource_type, [query], BASE), count=100).versions))


def _asked(resource_type):
    names = st.sampled_from(TOKENS[resource_type])
    sets = st.lists(st.sampled_from(SETS), min_size=1, max_size=2).map(",".join)
    codes = st.sampled_from(["a", "ab", "ä", "A", "a|b"]).map(lambda code: f"{LOINC}|{escape(code)}")
    return st.one_of(st.tuples(names, st.sampled_from(["in", "not-in"]), sets),
                     st.tuples(names, st.sampled_from(["below", "above"]), codes)).map(
        lambda asked: f"{asked[0]}:{asked[1]}={quote(asked[2])}")


@pytest.mark.parametrize("resource_type", sorted(TOKENS))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_find_answers_as_criteria_test_does(database, resource_type, data):
    bodies = data.draw(st.lists(resources(resource_type), min_size=1, max_size=6, unique_by=lambda body: body["id"]))
    other = data.draw(st.one_of(st.none(), criteria(resource_type)))
    texts = [f"{other}&{asked}" if other else f"{resource_type}?{asked}"
             for asked in data.draw(st.lists(_asked(resource_type), min_size=1, max_size=4))]
    with database.engine.connect() as tx:
        tx.execution_options(fhirsub_writes=True)
        with tx.begin() as transaction:
            write(tx, *STORED)
            written = {version.id: SearchValues(version.resource, BASE, Expansions(tx)) for version in write(tx, *bodies)}
            for one in (parse(text, BASE) for text in texts):
                expected = sorted(id for id, values in written.items() if one.test(values))
                answered = (version.id for version in find(tx, one, count=100).versions)
                assert sorted(id for id in answered if id in written) == expected, one.canonical()
                assert parse(one.canonical()).canonical() == one.canonical() and not one.alone
            transaction.rollback()


def test_find_in_and_around_a_value_set(database):
    with database.write() as tx:
        write(tx, *STORED, observation("1", "a"), observation("2", "A"), observation("3", "A", SYSTEMS[1]),
              observation("4", "a,b"), observation("5", "a", ""), {"resourceType": "Observation", "id": "6"})
        assert found(tx, ("code:in", "http://acme.org/two")) == "13"
        assert found(tx, ("code:not-in", "http://acme.org/two")) == "2456"
        assert found(tx, ("code:in", "http://acme.org/large,ValueSet/tree")) == "14"
        assert found(tx, ("code:in", "http://acme.org/none")) == ""
        assert found(tx, ("code:not-in", "http://acme.org/none")) == "123456"
        assert found(tx, ("code:below", f"{LOINC}|a")) == "124" and found(tx, ("code:above", rf"{LOINC}|a\,b")) == "14"


def test_find_through_a_chain_to_a_value_set(database):
    with database.write() as tx:
        write(tx, *STORED, *({"resourceType": "Patient", "id": id, "gender": gender} for id, gender in
                             [("m", "male"), ("f", "female")]),
              *(observation(id, "a", subject={"reference": f"Patient/{id}"}) for id in "mf"))
        assert found(tx, ("subject:Patient.gender:in", "http://acme.org/status")) == "m"
        assert found(tx, ("_has:Observation:patient:code:below", f"{LOINC}|a"), "Patient") == "fm"


def test_versions_of_a_value_set(database):
    with database.write() as tx:
        write(tx, observation("a", "a"), observation("b", "b"), value_set(only("b"), id="new", url="http://v", version="2A"),
              value_set(only("a"), id="old", url="http://v", version="1"))
        assert found(tx, ("code:in", "http://v|2A")) == "b" and found(tx, ("code:in", "http://v|1")) == "a"
        assert found(tx, ("code:in", "http://v")) == "a"  # the one written last
        write(tx, value_set(only("b"), id="new", url="http://v", version="2A"), now=NOW + timedelta(seconds=1))
        assert found(tx, ("code:in", "http://v")) == "b"
        versions.delete(tx, "ValueSet", "new", now=NOW)
        assert found(tx, ("code:in", "http://v")) == "a"
        with pytest.raises(UnsupportedCriteria, match=r"code:in=http://v\|2A: ValueSet http://v\|2A is not stored"):
            found(tx, ("code:in", "http://v|2A"))


@pytest.mark.parametrize("query, words", [
    (("code:in", "ValueSet/nobody"), "code:in=ValueSet/nobody: ValueSet/nobody is not stored"),
    (("code:below", "urn:x|a"), "CodeSystem urn:x is not stored"), (("code:above", f"{LOINC}|q"), "has no code 'q'"),
    (("code:below", "a"), "expected system|code"), (("code:in", "tree"), "expected the URL of a value set"),
    (("identifier:in", "http://v"), "values here are no codes")])
def test_find_refuses_what_it_cannot_tell(database, query, words):
    with database.write() as tx:
        write(tx, *STORED)
        with pytest.raises(UnsupportedCriteria) as refused:
            found(tx, query)
        assert words in str(refused.value)


def test_kept_expansions_are_never_stale(database):
    kept, asked = {}, parse("Observation?code:in=http://acme.org/vs").predicates[0].values[0]

    def codes(*bodies, now=NOW):
        with database.write() as tx:
            write(tx, *bodies, now=now)
        with database.read() as tx:
            return "".join(sorted(code for _, code in Expansions(tx, kept)(asked)))

    by_system = value_set({"system": LOINC}, {"valueSet": ["http://acme.org/other"]})
    assert codes(TREE | {"concept": [{"code": "a"}]}, value_set(only("x"), id="other"), by_system) == "ax"
    assert codes() == "ax"
    assert codes(TREE | {"concept": [{"code": "b"}]}) == "bx"                          # a code system that it uses
    assert codes(value_set(only("y"), id="other")) == "by"                             # a value set that it imports
    assert codes(value_set(only("z"), id="another", url="http://acme.org/other"), now=NOW + timedelta(seconds=1)) == "bz"
    assert codes(value_set(only("c"))) == "c"
    with database.write() as tx:
        versions.delete(tx, "ValueSet", "vs", now=NOW)
    with pytest.raises(UnsupportedCriteria, match="not stored"):
        codes()
    assert codes(value_set(only("d"))) == "d"


def test_kept_expansion_is_looked_up_with_one_query(sqlite_database):
    kept, statements = {}, []
    asked = [parse(f"Observation?code:in={name}", BASE).predicates[0].values[0] for name in SETS]
    with sqlite_database.write() as tx:
        write(tx, *STORED)
    event.listen(sqlite_database.engine, "before_cursor_execute", lambda *about: statements.append(about[2]))
    for _ in range(2):
        statements.clear()
        with sqlite_database.read() as tx:
            expand = Expansions(tx, kept)
            for one in asked * 2:
                expand(one)
    assert len([text for text in statements if "search_value" in text]) == 1


@pytest.mark.parametrize("codes", [{(LOINC, "a"), (LOINC, "b")}, {(LOINC, "a"), (SYSTEMS[1], "b")}])
def test_find_starts_from_the_index_on_sqlite(sqlite_database, codes):
    asked = parse("Observation?code:in=http://v&status=final").bind(lambda one: frozenset(codes))
    with sqlite_database.read() as tx:
        compiled = select(resource.c.key).where(clause(asked)).compile(tx.engine)
        plan = tx.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}", tuple("" for _ in compiled.positiontup)).all()
    assert any("(type=? AND parameter=? AND value=?)" in row.detail for row in plan), plan
