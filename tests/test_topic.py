"""EventDefinitions as topics: what is refused, what they are tried on, and on which changes they fire."""
import pytest
from topics import BASE, World, condition, definition, encounter, trigger

from fhirsub.errors import Unprocessable
from fhirsub.fhir.extensions import FILTER
from fhirsub.fhir.instants import parse_instant
from fhirsub.fhir.topics import read

WHERE = "EventDefinition.trigger[0]"
FINISHED = "status = 'finished'"
planned, finished = encounter("planned"), encounter("finished")


def coded(path="status", *codes, **more):
    return {"type": "Encounter", "codeFilter": [{"path": path, "code": [{"code": code} for code in codes], **more}]}


def of_system(system):
    return {"type": "Encounter", "codeFilter": [{"path": "type", "code": [{"system": system, "code": "visit"}]}]}


def dated(**more):
    return {"type": "Encounter", "dateFilter": [{"searchParam": "date", **more}]}


def about(*data, kind="named-event"):
    return trigger(kind, data=None) | {"data": list(data)}


# Spec: https://hl7.org/fhir/R4/metadatatypes.html#TriggerDefinition and #DataRequirement
@pytest.mark.parametrize(("given", "where", "words"), [
    (trigger("data-added", timingDate="2024-01-01"), WHERE, "trd-1"),
    (trigger("periodic", data="Encounter", timingDate="2024-01-01"), WHERE, "trd-1"),
    (trigger(data=None, expression=FINISHED), WHERE, "trd-2"),
    ({"type": "named-event"}, WHERE, "trd-3"), ({"type": "periodic"}, WHERE, "trd-3"),
    *((trigger(f"data-{kind}", data=None), WHERE, "trd-3")
      for kind in ("added", "modified", "removed", "changed", "accessed")),
    (trigger("data-access-ended"), f"{WHERE}.type", "not supported"),
    (trigger(data=None, timingDate="2024-01-01"), WHERE, "only a periodic trigger"),
    (trigger("periodic", data=None, timingReference={"reference": "Schedule/1"}), f"{WHERE}.timingReference",
     "Schedule"),
    (trigger(condition={"language": "text/cql", "expression": "x"}), f"{WHERE}.condition.language", "text/fhirpath"),
    (trigger(condition={"language": "text/fhirpath", "reference": "http://x"}), f"{WHERE}.condition.expression",
     "itself"),
    # the forms in which triggers go round, with what would do
    (trigger(expression="status == 'x'"), f"{WHERE}.condition.expression", "FHIRPath says ="),
    (trigger(expression="status = 'x' && status = 'y'"), f"{WHERE}.condition.expression", "FHIRPath says and"),
    (trigger(expression='status = "x"'), f"{WHERE}.condition.expression", "single quotes"),
    (trigger(expression="status = %code"), f"{WHERE}.condition.expression", "%code"),
    (trigger(expression="stat = 'x'"), f"{WHERE}.condition.expression", "did you mean status"),
    (trigger(data="Encounters"), f"{WHERE}.data[0].type", "'Encounters'"),
    (about({"type": "Encounter", "limit": 3}), f"{WHERE}.data[0].limit", "does not evaluate"),
    (about({"type": "Encounter", "profile": ["http://p"]}), f"{WHERE}.data[0].profile", "condition"),
    (about(coded(valueSet="http://vs")), f"{WHERE}.data[0].codeFilter[0].valueSet", "list the codes"),
    (about(coded()), f"{WHERE}.data[0].codeFilter[0].code", "at least one"),
    (about(coded("status", "x", searchParam="status")), f"{WHERE}.data[0].codeFilter[0]", "drq-1"),
    (about(coded("period", "x")), f"{WHERE}.data[0].codeFilter[0].path", "it gives none of"),
    (about({"type": "Encounter", "dateFilter": [{"path": "status", "valueDateTime": "2024"}]}),
     f"{WHERE}.data[0].dateFilter[0].path", "it gives none of Period, Timing, date, dateTime, instant"),
    (about(coded("nonsense", "x")), f"{WHERE}.data[0].codeFilter[0].path", "simple path"),
    (about({"type": "Encounter", "codeFilter": [{"searchParam": "date", "code": [{"code": "x"}]}]}),
     f"{WHERE}.data[0].codeFilter[0].searchParam", "token parameter"),
    (about(dated(valueDuration={"value": 3})), f"{WHERE}.data[0].dateFilter[0]", "clock"),
    (about(coded("status", "x") | {"type": "Resource"}), f"{WHERE}.data[0].codeFilter[0]", "Resource")])
def test_trigger_that_cannot_be_evaluated_is_refused(given, where, words):
    with pytest.raises(Unprocessable) as refused:
        read(definition("d", given), BASE)
    issue = refused.value.issues[0]
    assert issue.expression == where and words in issue.diagnostics, issue.diagnostics


def test_every_trigger_that_is_wrong_is_named():
    with pytest.raises(Unprocessable) as refused:
        read(definition("d", trigger(expression="=="), trigger("data-added", data=None)), BASE)
    assert [issue.expression for issue in refused.value.issues] == [
        "EventDefinition.trigger[0].condition.expression", "EventDefinition.trigger[1]"]


@pytest.mark.parametrize(("given", "words"), [
    (definition("d", trigger("data-added"), topics=["other"]), "composed"),
    (definition("d", trigger("data-added"), transitions=["enter"]), "what state"),
    (definition("d", transitions=["enter"]), "what state"),
    (definition("d", trigger(expression="%previous.exists()"), transitions=["enter"]), "%previous"),
    (definition("d", transitions=["gone"]), "enter, update, leave, delete"),
    (definition("d", is_filter=True), "needs data"), (definition("Firehose"), "built-in"),
    (definition("d", extension=[{"url": FILTER, "valueString": "true"}]), "valueBoolean"),
    (definition("d", is_filter=True, topics=["other"]), "composed")])
def test_definition_that_contradicts_itself_is_refused(given, words):
    with pytest.raises(Unprocessable, match=words):
        read(given, BASE)


@pytest.mark.parametrize(("triggers", "where", "words"), [
    ([trigger("data-added")] * 101, "EventDefinition.trigger", "at most 100; got 101"),
    ([about(*[{"type": "Encounter"}] * 501)] * 2, "EventDefinition.trigger.data", "at most 1000 in all; got 1002")])
def test_definition_that_would_take_long_is_refused(triggers, where, words):
    with pytest.raises(Unprocessable, match=words) as refused:
        read(definition("d", *triggers), BASE)
    assert [(issue.expression, issue.code) for issue in refused.value.issues] == [(where, "too-costly")]


CREATE, UPDATE, DELETE = (planned, None), (planned, planned), (None, planned)


@pytest.mark.parametrize(("kind", "fires"), [
    ("named-event", [CREATE, UPDATE]), ("data-added", [CREATE]), ("data-modified", [UPDATE]),
    ("data-removed", [DELETE]), ("data-changed", [CREATE, UPDATE, DELETE]), ("data-accessed", [])])
def test_trigger_fires_on_its_interactions(kind, fires):
    world = World(definition("d", trigger(kind, expression="$this.exists()")))
    assert [change for change in (CREATE, UPDATE, DELETE) if world.written(*change).fired] == fires


@pytest.mark.parametrize(("expression", "current", "previous", "fires"), [
    ("status = 'finished'", finished, planned, True), ("this.status = 'finished'", finished, planned, True),
    ("Encounter.status = 'finished'", finished, None, True), ("%resource.status = 'finished'", None, finished, True),
    ("%current.empty()", None, finished, True), ("%previous.empty()", finished, None, True),
    # three-valued: %previous is empty on a create, and empty is not true; this is the form that fires
    ("%previous.status != 'finished'", finished, None, False),
    ("%previous.status != 'finished'", finished, planned, True),
    ("%previous.where(status = 'finished').empty()", finished, None, True),
    ("subject.resolve().active", finished, None, True), ("subject.resolve().deceased.exists()", finished, None, False)])
def test_condition_sees_both_versions_and_this_server(expression, current, previous, fires):
    world = World(definition("d", trigger("data-changed", expression=expression)),
                  resources=[{"resourceType": "Patient", "id": "1", "active": True}])
    assert bool(world.written(current, previous).fired) == fires and not world.failures


@pytest.mark.parametrize(("triggers", "fires"), [
    ([trigger("data-added"), trigger("data-removed")], True), ([trigger("data-removed"), trigger("data-added")], True),
    ([trigger("data-modified"), trigger("data-removed")], False),
    ([about({"type": "Patient"}, {"type": "Encounter"}, kind="data-added")], True),
    ([about({"type": "Patient"}, {"type": "Observation"}, kind="data-added")], False)])
def test_any_trigger_and_any_data_will_do(triggers, fires):
    assert bool(World(definition("d", *triggers)).written(planned).fired) == fires


VISIT = encounter("planned", period={"start": "2024-05-03", "end": "2024-05-04"},
                  type=[{"coding": [{"system": "http://acme.org", "code": "visit"}]}])


@pytest.mark.parametrize(("data", "fires"), [
    (coded("status", "planned"), True), (coded("status", "arrived", "planned"), True),
    (coded("status", "arrived"), False), (coded("type", "visit"), True),
    (of_system("http://acme.org"), True), (of_system("http://other.org"), False),
    ({"type": "Encounter", "codeFilter": [{"searchParam": "type", "code": [{"code": "visit"}]}]}, True),
    (coded("status", "planned") | {"dateFilter": [{"path": "period", "valueDateTime": "2023"}]}, False),
    (dated(valuePeriod={"start": "2024-05-01"}), True),
    (dated(valuePeriod={"start": "2024-05-01", "end": "2024-05-03"}), False), (dated(valueDateTime="2024-05"), True),
    ({"type": "Encounter", "dateFilter": [{"path": "period", "valuePeriod": {"end": "2024"}}]}, True)])
def test_data_filters_narrow(data, fires):
    world = World(definition("d", about(data, kind="data-added")))
    assert bool(world.written(VISIT).fired) == fires


@pytest.mark.parametrize(("given", "keys"), [
    (definition("d", trigger(expression="true")), ("Encounter create", "Encounter update")),
    (definition("d", trigger("data-accessed", data="Resource")), ("* read",)),
    (definition("d"), ("raise d",)),
    (definition("d", trigger("periodic", data=None, timingDate="2030-01-01")), ("periodic d",)),
    (definition("d", trigger("data-changed"), transitions=["leave"]), ("Encounter update",)),
    (definition("d", trigger("data-changed"), transitions=["enter", "delete"]),
     ("Encounter create", "Encounter delete", "Encounter update")),
    (definition("d", trigger("data-changed"), is_filter=True), ()),
    (definition("d", topics=["removed", "inner"]), ("Encounter create", "Encounter delete")),
    (definition("d", topics=["Firehose"]), ("* create", "* delete", "* update"))])
def test_keys_say_what_it_is_tried_on(given, keys):
    world = World(definition("removed", trigger("data-removed")), definition("added", trigger("data-added")),
                  definition("inner", topics=["added"]), given)
    assert world.topics["d"].keys(world.find) == keys


def test_trigger_that_fails_does_not_fire_and_leaves_the_others_alone():
    world = World(definition("several", trigger("data-added", expression="identifier.value")),
                  definition("good", trigger("data-added")))
    written = world.written(encounter("planned", identifier=[{"value": "1"}, {"value": "2"}]))
    assert set(written.fired) == {"good"}
    assert [topic.id for topic, _ in world.failures] == ["several"]


def test_next_due_is_that_of_the_first_periodic_trigger():
    two = definition("d", *(trigger("periodic", data=None, timingDateTime=f"20{year}-01-01T00:00:00Z")
                            for year in (31, 30)))
    assert read(two).next_due(parse_instant("2029-01-01T00:00:00Z")) == parse_instant("2030-01-01T00:00:00Z")
    assert read(definition("d", trigger("data-added"))).next_due(parse_instant("2029-01-01T00:00:00Z")) is None


def test_condition_is_named_where_it_stands():
    given = definition("d", trigger("data-added"), trigger("data-added", condition=condition("a b")))
    with pytest.raises(Unprocessable, match="position 3") as refused:
        read(given)
    assert refused.value.issues[0].expression == "EventDefinition.trigger[1].condition.expression"
