"""``make bench``, third part: µs per change for the matcher, as EventDefinitions and Subscriptions to events grow.

The changes are updates of Encounters, matched in batches, in SQLite and in a PostgreSQL of its own.
"""
import hashlib
import sys
import time
from pathlib import Path

import ending
from databases import databases
from sqlalchemy import func, insert, select

sys.path.insert(0, str(Path(__file__).parents[1]))

from pipeline import Pipeline

from fhirsub.fhir.definitions.structures import RESOURCE_TYPES
from fhirsub.fhir.extensions import TOPICS
from fhirsub.fhir.topics import of_subscription
from fhirsub.store.tables import cursor, stream, stream_key, subscription

OTHERS, SAME, SUBSCRIPTIONS = 1_000, 100, 100_000
CHANGES, RUNS = 512, 5
ADMITTED = "status = 'arrived' and %previous.where(status = 'arrived').empty()"
CODES = ["AMB", "EMER", "IMP", "SS"]


def define(pipeline, id, type, condition):
    pipeline.write({"resourceType": "EventDefinition", "id": id, "name": id, "status": "active", "trigger": [{
        "type": "named-event", "name": id, "data": [{"type": type}],
        "condition": {"language": "text/fhirpath", "expression": condition}}]})


def define_others(pipeline):
    types = sorted(RESOURCE_TYPES - {"Encounter", "EventDefinition", "Subscription"})
    for number in range(OTHERS):
        define(pipeline, f"other{number}", types[number % len(types)], "id.exists()")


def define_same(pipeline):
    for number in range(SAME):
        define(pipeline, f"same{number}", "Encounter", f"status = 'finished' and class.code = 'X{number}'")


def fill(pipeline):
    """Subscriptions to one event, each for another patient, straight into the tables: the first is made as always."""
    define(pipeline, "admit", "Encounter", ADMITTED)
    asked = {"extension": [{"url": TOPICS, "valueReference": {"reference": "EventDefinition/admit"}}]}
    pipeline.subscribe("Patient/p0", id="s0", **asked)
    pipeline.match()
    with pipeline.database.write() as tx:
        find = pipeline.matcher.topics.finder(tx)
        first = of_subscription({"resourceType": "Subscription", "criteria": "Patient/p0", **asked}, "", find)
        text, keys = first.canonical(), first.keys(find)
        made = [tx.execute(select(func.max(column))).scalar_one() for column in (stream.c.id, subscription.c.key)]
        for start in range(1, SUBSCRIPTIONS, 10_000):
            _insert(tx, range(start, min(start + 10_000, SUBSCRIPTIONS)), text, keys, *made)
        tx.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself within a minute


def _insert(tx, numbers, text, keys, stream_id, key):
    texts = {number: text.replace("Patient/p0", f"Patient/p{number}") for number in numbers}
    tx.execute(insert(stream), [{"id": stream_id + number, "question": text, "question_hash":
                                 hashlib.sha256(text.encode()).hexdigest()} for number, text in texts.items()])
    tx.execute(insert(stream_key), [
        {"stream_id": stream_id + number, "key": one.replace("Patient/p0", f"Patient/p{number}")}
        for number in numbers for one in keys])
    tx.execute(insert(subscription), [{"key": key + number, "id": f"s{number}", "active": True, "push": True,
                                       "stream_id": stream_id + number} for number in numbers])
    tx.execute(insert(cursor), [{"subscription_key": key + number, "stream_id": stream_id + number, "base": 0,
                                 "since": 0, "accepted": 0} for number in numbers])


def encounter(number, status):
    return {"resourceType": "Encounter", "id": f"e{number}", "status": status, "class": {"code": CODES[number % 4]},
            "subject": {"reference": f"Patient/p{number * 97}"}}


def measure(pipeline, what):
    """The median over RUNS of the time that the matcher takes for CHANGES updates of Encounters."""
    times = []
    for run in range(RUNS):
        for number in range(CHANGES):
            pipeline.write(encounter(number, ("planned", "arrived")[run % 2]))
        began = time.perf_counter()
        assert pipeline.match() == CHANGES
        times.append((time.perf_counter() - began) / CHANGES * 1e6)
    print(f"{pipeline.database.dialect:<11} {what:<64} {sorted(times)[RUNS // 2]:7.0f} µs per change", flush=True)


def stages(database):
    pipeline = Pipeline(database)
    measure(pipeline, "nothing is asked")
    for what, prepare in ((f"{OTHERS:,} EventDefinitions of other types", define_others),
                          (f"and {SAME} of the same type", define_same),
                          (f"and {SUBSCRIPTIONS:,} Subscriptions by patient to one more", fill)):
        prepare(pipeline)
        pipeline.match()
        measure(pipeline, what)


def main():
    with databases() as both:
        for database in both:
            stages(database)


if __name__ == "__main__":
    ending.on_sigterm()
    main()
