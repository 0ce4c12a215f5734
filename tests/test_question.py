"""What Subscriptions ask, by criteria, compartments, events and transitions, tested on one change."""
import pytest
from topics import World, definition, encounter, trigger

from fhirsub.errors import Unprocessable
from fhirsub.fhir.topics import Match, probe_keys
from fhirsub.fhir.topics.question import read

ADMIT = definition("admit", trigger(expression="$this.status = 'arrived' and %previous.status != 'arrived'"))
ANY = definition("any", trigger("data-changed"))
REMOVED = definition("removed", trigger("data-removed"))
ARRIVED = definition("arrived", trigger(expression="status = 'arrived'"), transitions=["enter", "leave", "delete"])
OF = definition("of", trigger("data-changed", expression="%current.subject.reference = %patientId"), is_filter=True)
INPATIENT = definition("inpatient", trigger("data-changed", expression="class.code = 'IMP'"), is_filter=True)
FINAL = definition("final", trigger("data-changed", data="Observation", expression="status = 'final'"), is_filter=True)
STAYS = definition("stays", trigger("data-changed", expression="class.code = 'IMP'"), transitions=["update"])
RAISED = definition("raised")
BOTH = definition("both", topics=["EventDefinition/admit", "EventDefinition/removed"])
MINE = definition("mine", topics=["any", "of"])
WORLD = World(ADMIT, ANY, REMOVED, ARRIVED, OF, INPATIENT, FINAL, STAYS, RAISED, BOTH, MINE, resources=[
    {"resourceType": "Patient", "id": "1", "generalPractitioner": [{"reference": "Practitioner/7"}]}],
    sets={"Patient/1": {"Group/5", "List/7"}})

planned, arrived, finished = map(encounter, ("planned", "arrived", "finished"))
other = encounter("arrived", "Patient/2")
inpatient = encounter("arrived", **{"class": {"code": "IMP"}})
GP = "Encounter?patient.general-practitioner=Practitioner/7"


def match(question, current, previous=None, **more):
    """The answer, after making sure that the index would have found the question where it matches."""
    needs = question.needs(WORLD.find)
    written = WORLD.written(current, previous, needs=needs, forgetful=True, **more)
    found = read(question.canonical()).test(written)
    assert not WORLD.failures
    assert found is None or set(question.keys(WORLD.find)) & probe_keys(written)
    return found


def ask(*asked, **more):
    return WORLD.question(*asked, **more)


# (question, versions written one after another, what each write is): the first is a create, None deletes.
@pytest.mark.parametrize(("question", "versions", "told"), [
    # R4's own: after the write, creates and updates
    (ask("Encounter?status=arrived"), [planned, arrived, arrived, finished, None], [None, "", "", None, None]),
    # compartments, Groups, Lists and several of them
    (ask("Patient/1"), [planned, None], ["", None]), (ask("Patient/2"), [planned], [None]),
    (ask("Group/5"), [planned], [""]), (ask("List/7"), [planned], [""]), (ask("Group/6"), [planned], [None]),
    (ask("Patient/2", compartments=["Patient/1"]), [planned], [""]),
    (ask("Encounter?status=arrived", compartments=["Patient/1"]), [planned, arrived, other], [None, "", None]),
    # chains
    (ask(GP), [planned, other], ["", None]),
    (ask("Encounter?subject:Patient.general-practitioner=Practitioner/8"), [planned], [None]),
    # transitions
    (ask("Encounter?status=arrived", transitions=["enter", "update", "leave", "delete"]),
     [planned, arrived, arrived, finished, arrived, None], [None, "enter", "update", "leave", "enter", "delete"]),
    (ask("Encounter?status=arrived", transitions=["leave"]), [arrived, arrived, finished, None], [None, None, "leave", None]),
    (ask("Encounter?status=arrived", transitions=["delete"]), [planned, None], [None, None]),
    (ask("Patient/1", transitions=["leave"]), [arrived, other], [None, "leave"]),
    (ask("Patient/1", ["stays"]), [inpatient, inpatient, inpatient | {"subject": {"reference": "Patient/2"}}],
     [None, "update", None]),
    (ask(GP, transitions=["leave"]), [arrived, other], [None, "leave"]),
    # events: %previous is empty on a create
    (ask("Patient/1", ["EventDefinition/admit"]), [planned, arrived, arrived, None], [None, "", None, None]),
    (ask("Encounter", ["admit"]), [arrived], [None]),
    (ask("Patient/2", ["admit"]), [planned, arrived], [None, None]),
    (ask("Encounter?status=arrived", ["any"]), [planned, arrived, None], [None, "", "delete"]),
    (ask("Encounter?status=planned", ["removed"]), [planned, None], [None, "delete"]),
    (ask("Encounter?status=arrived", ["removed"]), [planned, None], [None, None]),
    (ask("Group/5", ["removed"]), [planned, None], [None, "delete"]),
    (ask("Patient/1", ["Firehose"]), [planned, arrived, None], ["", "", "delete"]),
    # leave is added where somebody asks for it
    (ask("Encounter?status=arrived", ["any"], transitions=["leave"]), [arrived, finished, None], [None, "leave", None]),
    (ask("Patient/1", ["any"], transitions=["enter", "leave"]), [other, arrived, arrived, other],
     [None, "enter", None, "leave"]),
    # an event that is a state tells its transitions by itself
    (ask("Patient/1", ["arrived"]), [planned, arrived, arrived, finished, arrived, None],
     [None, "enter", None, "leave", "enter", "delete"]),
    (ask("Patient/1", ["arrived"], transitions=["leave"]), [arrived, finished], [None, "leave"]),
    # a filter with a parameter; parameter equalities are indexed
    (ask("Encounter", ["any", "of"], parameters={"patientId": "Patient/1"}), [planned, other, arrived], ["", None, ""]),
    (ask("Encounter", ["any", "of"], parameters={"patientId": "Patient/1"}, transitions=["leave"]), [planned, other],
     [None, "leave"]),
    (ask("Encounter", ["any", "of"], parameters={"patientId": "Patient/1"}), [planned, None], ["", "delete"]),
    (ask("Encounter", ["mine"], parameters={"patientId": "Patient/1"}), [planned, other], ["", None]),
    # operators, read in order
    (ask("Encounter", ["admit", "removed"]), [planned, arrived, None], [None, "", "delete"]),
    (ask("Encounter", ["any", ("admit", "intersect")]), [planned, arrived, arrived], [None, "", None]),
    (ask("Encounter", ["any", ("admit", "filter")]), [planned, arrived, arrived], [None, "", None]),
    (ask("Encounter", ["any", ("admit", "except")]), [planned, arrived, arrived], ["", None, ""]),
    (ask("Encounter", ["any", "inpatient"]), [planned, inpatient], [None, ""]),
    (ask("Encounter", ["any", ("inpatient", "except")]), [planned, inpatient], ["", None]),
    (ask("Encounter", ["any", "inpatient", "admit"]), [planned, arrived, inpatient], [None, "", ""]),
    # a composition is the expression of its references
    (ask("Encounter", ["both"]), [planned, arrived, None], [None, "", "delete"])])
def test_question_is_answered_for_each_write(question, versions, told):
    found = [match(question, now, before) for before, now in zip([None, *versions], versions)]
    assert [one and (one.transition or "") for one in found] == told


@pytest.mark.parametrize(("topics", "fired"), [
    (["any", "admit"], ("any", "admit")), (["any", ("admit", "intersect")], ("any", "admit")),
    (["any", ("admit", "filter")], ("any",)), (["both"], ("both",)), (["Firehose"], ("Firehose",))])
def test_match_names_the_topics_that_fired(topics, fired):
    assert match(ask("Patient/1", topics), arrived, planned) == Match(None, fired)


def test_raised_event_is_for_the_questions_of_its_topic_alone():
    raised = {"interaction": "raise", "topic_id": "raised"}
    assert match(ask("Patient/1", ["raised"]), planned, **raised) == Match(None, ("raised",))
    assert match(ask("Patient/2", ["raised"]), planned, **raised) is None
    for question in (ask("Patient/1"), ask("Encounter"), ask("Encounter", ["any"]), ask("Encounter", ["Firehose"])):
        assert match(question, planned, **raised) is None


def test_read_is_for_questions_about_accesses_alone():
    world = World(definition("seen", trigger("data-accessed")), ANY)
    written = world.written(planned, interaction="read")
    assert world.question("Encounter", ["seen"]).test(written) == Match(None, ("seen",))
    assert world.question("Encounter", ["any"]).test(written) is None
    assert world.question("Encounter").test(written) is None


@pytest.mark.parametrize(("asked", "more", "where", "words"), [
    (("Nonsense?x=1",), {}, "Subscription.criteria", "Nonsense"),
    (("Encounter?_has:Observation:encounter:code=x",), {}, "Subscription.criteria", "_has"),
    (("Patient/1/x",), {}, "Subscription.criteria", "Patient/1/x"),
    (("Encounter", ["unknown"]), {}, "Subscription.extension[0]", "none that this server holds"),
    (("Encounter", ["of"]), {"parameters": {"patientId": "x"}}, "Subscription.extension[0]", "is a filter"),
    (("Encounter", [("any", "except")]), {}, "Subscription.extension[0]", "is to except"),
    (("Encounter", ["any", ("inpatient", "union")]), {}, "Subscription.extension[1]", "use filter or except"),
    (("Encounter", [("any", "minus")]), {}, "Subscription.extension[0].valueReference.extension", "union, intersect"),
    (("Encounter", ["any", "of"]), {}, "Subscription.extension", "'patientId'"),
    (("Encounter", ["any", "mine"]), {}, "Subscription.extension", "'patientId'"),
    (("Encounter", ["any"]), {"parameters": {"patientId": "x"}}, "Subscription.extension", "they take none"),
    (("Encounter", ["any", "final"]), {}, "Subscription.extension", "EventDefinition/final lets nothing through"),
    (("Observation?code=x", ["any"]), {}, "Subscription.criteria", "about Encounter, never about Observation"),
    (("Encounter",), {"transitions": ["exit"]}, "Subscription.extension[0].valueCode", "enter, update, leave, delete"),
    (("Encounter", ["raised"]), {"transitions": ["enter"]}, "Subscription.extension", "transitions are told of writes"),
    (("Encounter",), {"compartments": ["Observation/1"]}, "Subscription.extension[0].valueReference", "Observation/1")])
def test_question_that_cannot_be_asked_is_refused(asked, more, where, words):
    with pytest.raises(Unprocessable) as refused:
        ask(*asked, **more)
    issue = refused.value.issues[0]
    assert (issue.expression, words in issue.diagnostics) == (where, True), issue.diagnostics


def test_definition_that_is_not_active_is_refused():
    with pytest.raises(Unprocessable, match="is draft"):
        World(definition("new", trigger("data-added"), status="draft")).question("Encounter", ["new"])


@pytest.mark.parametrize(("question", "keys"), [
    (ask("Encounter?status=arrived&patient=1"), ("Encounter?patient=Patient/1",)),
    (ask("Patient/1"), ("in Patient/1",)),
    (ask("Encounter?status=planned", transitions=["enter", "leave"]), ("-Encounter?status=planned", "Encounter?status=planned")),
    (ask("Encounter?patient=1", ["admit", "any"]), ("admit Encounter?patient=Patient/1", "any Encounter?patient=Patient/1")),
    (ask("Encounter?status=planned", ["any", "of"], parameters={"patientId": "Patient/1"}), ("any %of patientId=Patient/1",)),
    (ask("Group/5", ["admit"]), ("admit in Group/5",)),
    (ask(GP), ("Encounter?patient:Patient.general-practitioner=Practitioner/7",))])
def test_question_is_filed_under_its_most_selective_equality(question, keys):
    assert question.keys(WORLD.find) == keys


@pytest.mark.parametrize(("question", "needs"), [
    (ask("Encounter?patient=1"), ()), (ask("Patient/1", ["admit"]), ("Encounter compartments",)),
    (ask("Group/5"), ("* compartments", "* sets")),
    (ask("Encounter?patient=1", transitions=["leave"]), ("Encounter previous",)),
    (ask("Encounter?patient=1", ["arrived"]), ("Encounter previous",)),
    (ask(GP), ("Encounter chain:patient:Patient.general-practitioner",)),
    (ask("Encounter?patient=1", ["Firehose"]), ("Encounter firehose", "Encounter previous")),
    (ask("Encounter", ["any", "of"], parameters={"patientId": "Patient/1"}), ("Encounter filter:of",))])
def test_question_needs_only_what_it_asks(question, needs):
    assert question.needs(WORLD.find) == needs


def test_references_of_all_forms_name_the_same_topic():
    world = World(definition("a", trigger("data-added"), url="http://acme.org/a", version="2", name="admission"))
    forms = ["EventDefinition/a", "http://example.org/fhir/EventDefinition/a", "http://acme.org/a", "http://acme.org/a|2",
             "admission"]
    assert len({world.question("Encounter", [form]).canonical() for form in forms}) == 1
