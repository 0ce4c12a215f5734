"""New Subscriptions that come together are taken in together, and mean what they mean one by one."""
import pytest
from pipeline import Pipeline, observation
from sqlalchemy import event, select

from fhirsub.fhir.extensions import TOPICS
from fhirsub.fhir.topics.question import read
from fhirsub.store.tables import cursor, need, stream, stream_key
from fhirsub.subscriptions import streams

PATIENT = {"subject": {"reference": "Patient/1"}}


@pytest.fixture
def pipeline(database):
    return Pipeline(database)


def rows(pipeline, *columns):
    with pipeline.database.read() as tx:
        return sorted(map(tuple, tx.execute(select(*columns))))


def test_subscriptions_of_one_batch_are_told_what_comes_after_them(pipeline):
    pipeline.write(observation(**PATIENT))
    for id, patient in (("a", 1), ("b", 2), ("c", 1)):
        pipeline.subscribe(f"Observation?patient={patient}", id=id)
    pipeline.write(observation(id="o", **PATIENT))
    pipeline.match()
    assert [pipeline.events(id) for id in "abc"] == [[(1, "Observation/o/1")], [], [(1, "Observation/o/1")]]
    assert pipeline.count(stream) == 2 and pipeline.state("a").due_at and not pipeline.state("b").due_at


def test_subscription_joins_a_stream_at_its_head(pipeline):
    pipeline.subscribe("Observation?patient=1", id="a")
    pipeline.write(observation(**PATIENT))
    pipeline.match()
    pipeline.subscribe("Observation?patient=1", id="b")
    pipeline.subscribe("Observation?patient=2", id="c")
    pipeline.write(observation(id="o", **PATIENT))
    pipeline.match()
    assert pipeline.events("b") == [(1, "Observation/o/1")] and len(pipeline.events("a")) == 2


def test_subscription_that_follows_subscriptions_is_told_of_the_next_one(pipeline):
    pipeline.subscribe("Observation?patient=1", id="a")
    pipeline.subscribe("Subscription?status=active", id="all")
    pipeline.subscribe("Observation?patient=2", id="b")
    pipeline.match()
    assert [told for _, told in pipeline.events("all")] == ["Subscription/b/1"]


def test_subscription_that_cannot_be_switched_on_stops_no_other(pipeline):
    pipeline.subscribe("Observation?nonsense=1", id="bad")
    pipeline.subscribe("Observation?patient=1", id="good")
    pipeline.subscribe("Observation?patient=1", id="events", extension=[
        {"url": TOPICS, "valueReference": {"reference": "EventDefinition/none"}}])
    pipeline.write(observation(id="o", **PATIENT))
    pipeline.match()
    assert pipeline.events("good") == [(1, "Observation/o/1")]
    assert pipeline.state("bad") is None
    assert rows(pipeline, cursor.c.subscription_key) == [(pipeline.state("good").key,)]


def test_subscription_that_comes_back_after_a_delete_goes_on_counting(pipeline):
    pipeline.subscribe("Observation?patient=1", id="a")
    pipeline.write(observation(**PATIENT))
    pipeline.match()
    pipeline.delete("Subscription", "a")
    pipeline.subscribe("Observation?patient=1", id="a")
    pipeline.subscribe("Observation?patient=1", id="b")
    pipeline.write(observation(id="o", **PATIENT))
    pipeline.match()
    assert pipeline.events("a") == [(2, "Observation/o/1")] and pipeline.events("b") == [(1, "Observation/o/1")]


def test_needs_are_counted_once_for_each_stream_and_given_back(pipeline):
    for number in range(3):
        pipeline.subscribe(f"Observation?value-quantity=gt{number}", id=f"s{number}")
    pipeline.subscribe("Observation?value-quantity=gt0", id="again")
    pipeline.match()
    assert rows(pipeline, need.c.type, need.c.name, need.c.streams) == [("Observation", "high:value-quantity", 3)]
    for id in ("s0", "s1", "s2", "again"):
        pipeline.delete("Subscription", id)
    pipeline.match()
    assert rows(pipeline, need.c.name) == [] and rows(pipeline, stream_key.c.key) == []


def test_range_is_matched_through_the_index(pipeline):
    pipeline.subscribe("Observation?value-quantity=ge5&value-quantity=lt6", id="range")
    pipeline.subscribe("Observation?value-string=anna", id="string")
    pipeline.match()
    pipeline.write(observation(id="in", valueQuantity={"value": 5.4}))
    pipeline.write(observation(id="out", valueQuantity={"value": 7}))
    pipeline.write(observation(id="text", valueString="Annabelle"))
    pipeline.match()
    assert pipeline.events("range") == [(1, "Observation/in/1")]
    assert pipeline.events("string") == [(1, "Observation/text/1")]
    assert all(key.startswith("Observation?value-") for key, in rows(pipeline, stream_key.c.key))


def _statements(pipeline, count):
    told = []

    def tell(connection, cursor, statement, *more):
        told.append(statement)

    for number in range(count):
        pipeline.subscribe(f"Observation?patient=n{count}-{number}", id=f"n{count}-{number}")
    event.listen(pipeline.database.engine, "before_cursor_execute", tell)
    pipeline.match()
    event.remove(pipeline.database.engine, "before_cursor_execute", tell)
    return len(told)


def test_many_take_as_many_statements_as_few(pipeline):
    _statements(pipeline, 1)    # takes the lease
    assert _statements(pipeline, 100) == _statements(pipeline, 2)


def test_streams_are_opened_in_the_order_asked(pipeline):
    asked = [read(f"Observation?patient=Patient/{one}") for one in "3213"]
    with pipeline.database.write() as tx:
        opened = streams.open_streams(tx, asked, lambda reference: None)
        again = streams.open_stream(tx, asked[1], lambda reference: None)
    assert opened[0] == opened[3] and len({row.id for row in opened}) == 3 and again.id == opened[1].id
