"""Chains, reverse chains and lists in search, on both databases: SQL finds what a walk over all resources finds.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from fhirsub.fhir.criteria import parse, parse_query
from fhirsub.fhir.criteria.chains import Chain, Reverse
from fhirsub.fhir.search_values import SearchValues
from fhirsub.store import versions
from fhirsub.store.search import find
from fhirsub.store.search_clause import clause
from fhirsub.store.tables import resource

BASE = "http://example.org/fhir"
NOW = datetime(2024, 2, 10, 8, 15, 30, tzinfo=timezone.utc)
IDS = ["1", "2", "3"]


def write(tx, *bodies):
    return [versions.write(tx, body, now=NOW + timedelta(milliseconds=number), base_url=BASE).resource
            for number, body in enumerate(bodies)]


def parsed(question):
    resource_type, _, query = question.partition("?")
    return parse_query(resource_type, [tuple(part.split("=", 1)) for part in query.split("&")], BASE)


def found(tx, question):
    page = find(tx, parsed(question), count=1000)
    return sorted(version.id for version in page.versions)


def reference(*types):
    local = st.builds("{}/{}".format, st.sampled_from(types), st.sampled_from(IDS))
    odd = st.sampled_from(["#1", "urn:uuid:1", "http://other.org/fhir/Patient/1", f"{types[0]}x/1", "xxxxxxxx1"])
    return st.one_of(local, local.map((BASE + "/").__add__), local.map("{}/_history/1".format), odd).map(
        lambda link: {"reference": link})


def some(**parts):
    return st.fixed_dictionaries({}, optional=parts)


GENDERS, NAMES, CODES = (st.sampled_from(pool) for pool in (["male", "female"], ["Anna", "Otto"], ["a", "b"]))
BODIES = {
    "Patient": some(gender=GENDERS, name=NAMES.map(lambda name: [{"family": name}]), birthDate=st.just("1980"),
                    identifier=CODES.map(lambda code: [{"system": "http://s", "value": code}]),
                    managingOrganization=reference("Organization"),
                    link=st.lists(reference("Patient").map(lambda other: {"other": other}), max_size=2)),
    "Observation": some(code=CODES.map(lambda code: {"coding": [{"code": code}]}),
                        subject=reference("Patient", "Group"),
                        performer=st.lists(reference("Practitioner", "Patient"), max_size=2)),
    "Organization": some(name=NAMES, partOf=reference("Organization")),
    "Group": some(identifier=CODES.map(lambda code: [{"system": "http://s", "value": code}])),
    "List": some(entry=st.lists(st.builds(lambda item, deleted: {"item": item, "deleted": deleted},
                                          reference("Patient", "Observation"), st.booleans()), max_size=3)),
    "AuditEvent": some(outcome=st.sampled_from(["0", "4"]),
                       entity=st.lists(reference("Observation").map(lambda what: {"what": what}), max_size=2))}
QUESTIONS = [
    "Observation?patient.family=anna", "Observation?subject:Patient.gender:not=male",
    "Observation?subject.identifier=a",
    "Observation?subject:Group.identifier=http://s|b", "Observation?patient.birthdate:missing=true",
    "Observation?patient.birthdate:missing=false&code=a", "Observation?patient._id=1,2", "Observation?subject._id=1",
    "Observation?patient.organization.name:contains=tt", "Observation?patient._lastUpdated=ge2024-02-10T08:15:30.004Z",
    "Observation?patient.link:Patient.link:Patient.gender=male", "Observation?performer:Patient.identifier=a&patient=1",
    "Observation?patient.family=anna&patient.gender=male", "Observation?_id=1,2&patient.organization.partof.name=otto",
    "Observation?patient.organization:missing=true", "Observation?patient.organization=1",
    "Organization?partof.partof._id=1,2", "Organization?_has:Patient:organization:_has:Observation:patient:code=a",
    "Patient?_has:Observation:patient:code=a", "Patient?_has:Observation:performer:code:not=a",
    "Patient?_has:Observation:patient:code=a,b&gender=male", "Patient?_has:Observation:subject:_id=1",
    "Patient?_has:Observation:patient:code:missing=true", "Patient?_has:Patient:link:family=otto&_id=1,3",
    "Patient?_has:Observation:patient:_has:AuditEvent:entity:outcome=0", "Patient?_has:List:item:_id=1",
    "Patient?_has:Observation:patient:performer:Patient.gender=male", "Patient?_list=1",
    "Patient?_list=1,2&gender=male",
    "Observation?_list=2", "Observation?patient._list=1", "Observation?patient._has:Patient:link:gender=female",
    "Observation?_has:AuditEvent:entity:outcome=4&patient.gender=male"]


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_search_finds_what_a_walk_finds(database, data):
    drawn = [data.draw(some(**{id: body for id in IDS})) for body in BODIES.values()]
    bodies = [{"resourceType": kind, "id": id, **body}
              for kind, bodies in zip(BODIES, drawn) for id, body in bodies.items()]
    with database.engine.connect() as tx:
        tx.execution_options(fhirsub_writes=True)
        with tx.begin() as transaction:
            stored = {f"{one['resourceType']}/{one['id']}": SearchValues(one, BASE) for one in write(tx, *bodies)}
            gone = data.draw(st.sets(st.sampled_from(sorted(stored)), max_size=2)) if stored else ()
            for name in gone:
                versions.delete(tx, *name.split("/"), now=NOW)
                del stored[name]
            for question in QUESTIONS:
                assert found(tx, question) == walked(stored, question), question
            for question in (one for one in QUESTIONS if "_has" not in one and "_list" not in one):
                assert answered(stored, question) == walked(stored, question), question
            transaction.rollback()


def walked(stored, question):
    """The same question, asked of each resource and of those around it, one after the other."""
    return sorted(values.resource["id"] for values in stored.values() if holds(parsed(question), values, stored))


def answered(stored, question):
    """The same question, asked as the criteria of a Subscription."""
    def resolve(reference):
        return stored[reference].resource if reference in stored else None

    asked = parse(question, BASE, chains=True)
    return sorted(one.resource["id"] for one in stored.values()
                  if asked.test(SearchValues(one.resource, BASE, resolve=resolve)))


def holds(asked, values, stored):
    return values.type == asked.type and all(answer(predicate, values, stored) for predicate in asked.predicates)


def answer(predicate, values, stored):
    if isinstance(predicate, Chain):
        targets = [stored.get(one.target) for one in values[predicate.parameter.code]]
        return any(target and holds(end, target, stored) for target in targets for end in predicate.ends)
    if isinstance(predicate, Reverse):
        name = f"{values.type}/{values.resource['id']}"
        return any(name in referred(predicate.parameter.code, other) and holds(predicate.source, other, stored)
                   for other in stored.values() if other.type == predicate.source.type)
    return predicate.test(values)


def referred(code, values):
    if code != "_list":
        return {one.target for one in values[code]}
    return {one["item"]["reference"].removeprefix(BASE + "/").removesuffix("/_history/1")
            for one in values.resource.get("entry", ()) if not one["deleted"]}


def test_chain_forgets_what_was_written_over(database):
    patient = {"resourceType": "Patient", "id": "1", "gender": "male"}
    with database.write() as tx:
        write(tx, patient, {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/1"}})
        assert found(tx, "Observation?patient.gender=male") == ["1"]
        write(tx, patient | {"gender": "female"})
        assert found(tx, "Observation?patient.gender=male") == []
        assert found(tx, "Observation?patient.gender:not=male") == ["1"]
        write(tx, {"resourceType": "Observation", "id": "1", "subject": {"reference": "Patient/2"}})
        assert found(tx, "Observation?patient.gender:not=male") == []


@pytest.mark.parametrize("question", [
    "Provenance?target._id=1",
    "Observation?" + "&".join(f"patient{'.link:Patient' * 9}.name=x{number}" for number in range(5)),
    "Patient?" + "_has:Patient:link:" * 10 + "gender=male",
    "Patient?" + "_has:Patient:link:" * 10 + "gender:not=male",
    "Patient?_id=1&link:Patient.link:Patient.link:Patient.gender:not=a",
    "Patient?_id=1&" + "_has:Patient:link:" * 3 + "identifier=http://s|1,http://s|2",
    "Observation?patient.identifier=" + ",".join(f"x{number}" for number in range(400))])
def test_chain_of_any_length_that_is_allowed_can_be_asked(database, question):
    with database.write() as tx:
        assert found(tx, question) == []


# ``lookups`` are the conditions that are asked of each resource in turn: two or more for a chain that comes later.
@pytest.mark.parametrize(("question", "lookups"), [
    ("Observation?patient.identifier=a", 0), ("Observation?patient.family=anna", 0),
    ("Observation?patient.organization.name:contains=x", 0), ("Observation?patient.identifier=a&code=b", 1),
    ("Observation?patient.family=anna&_id=1", 3), ("Observation?patient.gender=male&code=b", 3),
    ("Patient?_has:Observation:patient:code=a", 0), ("Patient?_has:Observation:patient:code=a&family=b", 1),
    ("Patient?_has:Observation:patient:status=final&family=b", 3), ("Patient?_list=1", 0)])
def test_search_begins_where_few_are_left_on_sqlite(sqlite_database, question, lookups):
    with sqlite_database.read() as tx:
        statement = select(resource.c.key).where(clause(parsed(question)))
        compiled = statement.compile(tx.engine, compile_kwargs={"literal_binds": True})
        plan = [row.detail for row in tx.execute(text(f"EXPLAIN QUERY PLAN {compiled}".replace(":", r"\:")))]
    assert not any(step.startswith("SCAN") or "type_last_updated" in step for step in plan), plan
    assert sum(step.startswith("CORRELATED") for step in plan) == lookups, plan


def test_links_end_with_a_composite(database):
    def weighed(id, value, patient):
        return {"resourceType": "Observation", "id": id, "subject": {"reference": f"Patient/{patient}"},
                "code": {"coding": [{"code": "weight"}]}, "valueQuantity": {"value": value}}

    report = {"resourceType": "DiagnosticReport", "id": "r", "result": [{"reference": f"Observation/{id}"} for id in "ab"]}
    with database.write() as tx:
        write(tx, weighed("a", 70, 1), weighed("b", 90, 2), {"resourceType": "Patient", "id": "1"},
              {"resourceType": "Patient", "id": "2"}, report, report | {"id": "s", "result": report["result"][:1]})
        assert found(tx, "Patient?_has:Observation:patient:code-value-quantity=weight$gt80") == ["2"]
        assert found(tx, "Patient?_has:Observation:patient:code-value-quantity=height$gt80") == []
        assert found(tx, "DiagnosticReport?result.code-value-quantity=weight$lt80") == ["r", "s"]
        assert found(tx, "DiagnosticReport?result.code-value-quantity=weight$90,height$70") == ["r"]
