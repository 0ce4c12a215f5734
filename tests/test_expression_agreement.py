"""Closures find what the engine finds, in random small expressions on random small resources."""
import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from fhirsub.errors import ExpressionFailed
from fhirsub.fhir.fhirpath import closures, sandbox
from fhirsub.fhir.fhirpath.grammar import parse
from fhirsub.fhir.fhirpath.run import Beyond, Run, Scope
from fhirsub.fhir.fhirpath.tree import text as text_of

PATHS = ["status", "subject.reference", "location.status", "location.location.reference", "location",
         "priority.coding.code", "priority.coding", "meta.tag.code", "participant.individual", "period", "nothing",
         "$this", "%current.status", "%previous.status", "%previous.location.status", "%resource.priority.coding.code",
         "subject.resolve().active", "subject.resolve().name.family", "subject.resolve().multipleBirth", "length.value",
         "extension.value", "extension('http://b').value.ofType(boolean)", "extension.value.ofType(string)"]
INNER = ["status", "location.reference", "$this", "individual.reference", "code", "url", "status.exists()",
         "code = 'a'", "status = 'a'", "status != 'b'", "%current.status = 'a'", "code in ('a' | 'b')"]
LITERALS = ["'a'", "'b'", "'Patient/1'", "1", "2.0", "true", "false", "{}", "%wanted", "%ucum"]

some_path, some_inner = st.sampled_from(PATHS), st.sampled_from(INNER)
ends = st.sampled_from(["first()", "last()", "tail()", "exists()", "empty()", "not()", "count()", "single()"])
paths = st.one_of(
    some_path,
    st.builds("{}.{}".format, some_path, ends),
    st.builds("{}[{}]".format, some_path, st.integers(0, 2)),
    st.builds("{}.{}({})".format, some_path, st.sampled_from(["where", "exists", "all", "select"]), some_inner),
    st.builds("({} | {})".format, some_path, some_path))
values = paths | st.sampled_from(LITERALS)
joins = st.sampled_from(["=", "!=", "in", "contains", "<", ">=", "|"])
comparisons = st.builds("({} {} {})".format, values, joins, values)
types = st.sampled_from(["string", "boolean", "Encounter", "Element", "Reference"])
tests = st.builds("({} is {})".format, paths, types)
logic = st.sampled_from(["and", "or", "xor", "implies"])
expressions = st.recursive(
    st.one_of(comparisons, paths, tests),
    lambda inner: st.builds("({} {} {})".format, inner, logic, inner) | st.builds("{}.not()".format, inner),
    max_leaves=4)


def some(strategy):
    return st.lists(strategy, min_size=1, max_size=2)


def thing(**optional):
    return st.fixed_dictionaries({}, optional=optional).filter(bool)


def extension(key, value):
    return st.fixed_dictionaries({"url": st.sampled_from(["http://a", "http://b"]), key: value})


PERSON = {"resourceType": "Patient", "id": "1", "active": True, "multipleBirthInteger": 2, "name": [{"family": "a"}]}
HELD = {"Patient/1": PERSON}
codes = st.sampled_from("ab")
references = thing(reference=st.sampled_from(["Patient/1", "Patient/2", "#p"]))
extensions = st.one_of(extension("valueString", codes), extension("valueBoolean", st.booleans()),
                       extension("valueInteger", st.integers(0, 2)))
encounters = thing(
    status=codes, subject=references, priority=thing(coding=some(thing(code=codes, system=codes))),
    length=thing(value=st.integers(1, 2)), location=some(thing(status=codes, location=references)),
    meta=thing(tag=some(thing(code=codes))), participant=some(thing(individual=references)), extension=some(extensions),
    contained=st.just([PERSON | {"id": "p"}])
).map(lambda encounter: {"resourceType": "Encounter"} | encounter)


@pytest.mark.timeout(300)
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=expressions, current=st.none() | encounters, previous=st.none() | encounters)
@example(text="1 in status.exists()", current={"resourceType": "Encounter", "status": "a"}, previous=None)
def test_closures_agree_with_the_engine(text, current, previous):
    assume(current or previous)
    scope = Scope(current, previous, {"wanted": "a"}, HELD.get)
    run = Run(scope)
    tree = parse(text)
    try:
        found = [value for value, _ in closures.compile(tree)(run, run.resource)]
    except Beyond:
        assume(False)
    except ExpressionFailed:
        found = None
    try:
        expected = sandbox.evaluate(text_of(tree), scope, frozenset({"wanted"}))
    except ExpressionFailed:
        return  # the engine may stumble over what the closures had no need to look at
    assert found == expected, text
    assert [type(one) for one in found] == [type(one) for one in expected]
