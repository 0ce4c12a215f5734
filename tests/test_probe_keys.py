"""A question that a change matches is found by the keys of the change, with no more known of it than the question needs."""
import pytest
import questions
from hypothesis import event, given, settings
from hypothesis import strategies as st
from topics import World, definition, subscription, trigger

from fhirsub.errors import Unprocessable
from fhirsub.fhir.topics import of_subscription, probe_keys
from fhirsub.fhir.topics.question import read

_one = st.sampled_from
PEOPLE = ["Patient/1", "Patient/2"]
STATUSES = ["planned", "arrived", "finished"]
ALL = ["enter", "update", "leave", "delete"]
SETS = ["Group/5", "List/7"]
CONDITIONS = [None, "status = 'arrived'", "status = 'arrived' and %previous.status != 'arrived'",
              "%previous.where(status = 'arrived').empty()", "%current.empty()", "subject.resolve().active = true"]
TYPES = ["Encounter", "Encounter", "Encounter", "Observation", "Patient", "Resource"]

encounters = st.builds(lambda status, who, more: {"resourceType": "Encounter", "id": "e", "status": status,
                                                  "subject": {"reference": who}, **more},
                       _one(STATUSES), _one(PEOPLE), _one([{}, {"class": {"code": "IMP"}}]))
versions = st.one_of(*[st.tuples(encounters, encounters)] * 3, st.tuples(*[questions.resources("Patient")] * 2))
patients = st.builds(lambda id, gp: {
    "resourceType": "Patient", "id": id, "active": gp == "3", "birthDate": f"19{gp}0", "name": [{"family": f"Anna{gp}"}],
    "generalPractitioner": [{"reference": f"Practitioner/{gp}"}]}, _one("12"), _one("34"))
held = st.dictionaries(_one([*PEOPLE, "Encounter/e", "Patient/p-1.x"]), st.sets(_one(SETS)))


def _triggers(expression, kind, data):
    if data != "Encounter":
        expression = None       # those above are about Encounters
    return trigger(kind, data=data, expression=expression or ("$this.exists()" if kind == "named-event" else None))


triggers = st.builds(_triggers, _one(CONDITIONS), _one(["named-event", "data-changed", "data-removed", "data-modified"]),
                     _one(TYPES))
sources = st.tuples(*(st.lists(triggers, min_size=1, max_size=2).map(lambda found, id=id: definition(id, *found))
                      for id in "abc"))
states = st.builds(lambda told, text: definition("state", trigger("data-changed", expression=text), transitions=told),
                   st.lists(_one(ALL), min_size=1, max_size=3), _one(["status = 'arrived'", "class.code = 'IMP'"]))
FILTERS = [
    definition("of", trigger("data-changed", expression="%current.subject.reference = %patientId"), is_filter=True),
    definition("in", trigger("data-changed", expression="%code in class.code and %patientId = subject.reference"),
               is_filter=True),
    definition("changed", trigger("data-changed", expression="%previous.status != status"), is_filter=True),
    definition("inpatient", trigger("data-changed", expression="class.code = 'IMP'"), is_filter=True)]
PARAMETERS = {"of": ["patientId"], "in": ["patientId", "code"], "inner": ["patientId"]}
NAMES = ["a", "b", "c", "state", "of", "in", "changed", "inpatient", "inner", "Firehose"]
further = st.lists(st.one_of(_one(NAMES), st.tuples(_one(NAMES), _one(["union", "intersect", "except", "filter"]))),
                   max_size=2)
steps = st.builds(lambda first, further: [first, *further], _one(["a", "b", "c", "state", "inner", "Firehose"]), further)
criteria = st.one_of(_one([*PEOPLE, *SETS, "Encounter", "Patient", "Encounter/e", "Encounter?status=arrived",
                           "Encounter?patient=1,2", "Encounter?status=planned&class=IMP", "Encounter?status:not=planned",
                           "Encounter?patient.general-practitioner=Practitioner/3", "Encounter?patient.name=anna3",
                           "Encounter?patient.family:contains=nna4", "Encounter?subject:Patient.birthdate=ge1935",
                           "Encounter?subject:Patient.general-practitioner:Practitioner=Practitioner/3,Practitioner/4"]),
                     questions.criteria("Patient"))
wide = _one(["Encounter", "Encounter?class=IMP,AMB", "Patient/1", "Group/5", "Encounter?patient=1"])


def _subscription(asked, topics, compartments, transitions):
    named = [one if isinstance(one, str) else one[0] for one in topics]
    values = {"patientId": "Patient/1", "code": "IMP"}
    parameters = {name: values[name] for one in named for name in PARAMETERS.get(one, ())}
    return subscription(asked, topics, compartments=compartments, transitions=transitions, parameters=parameters)


inside = st.lists(_one([*PEOPLE, *SETS]), max_size=2)
told = st.lists(_one(ALL), max_size=2, unique=True)
with_topics = st.builds(_subscription, st.one_of(wide, criteria), steps, st.one_of(st.just([]), inside),
                        st.one_of(st.just([]), told))
without_topics = st.builds(_subscription, criteria, st.just([]), inside, told)


@pytest.mark.parametrize("subscriptions", [with_topics, without_topics], ids=["with topics", "without"])
@settings(max_examples=400, deadline=None)
@given(st.data(), sources, states, st.lists(patients, max_size=2), held, versions, _one(["create", "update", "delete"]))
def test_question_that_matches_is_found_and_needs_no_more_than_it_says(
        subscriptions, data, sources, state, around, sets, versions, kind):
    asked = data.draw(subscriptions)
    inner = definition("inner", topics=["a", "b", "of"])
    world = World(*sources, state, *FILTERS, inner, resources=around, sets=sets)
    try:
        question = of_subscription(asked, questions.BASE, world.find)
    except Unprocessable:   # an operator that does not go there, a type that no event is about
        return
    current, previous = {"create": (versions[0], None), "update": tuple(versions), "delete": (None, versions[0])}[kind]
    informed = world.written(current, previous)
    known = world.written(current, previous, needs=question.needs(world.find), forgetful=True)
    again, match = read(question.canonical()), question.test(informed)
    assert again.canonical() == question.canonical()
    assert again.test(known) == match
    event("matched" if match else "not matched", f"{len(question.topics)} topics, {match and match.transition}")
    assert match is None or set(again.keys(world.find)) & probe_keys(known)
