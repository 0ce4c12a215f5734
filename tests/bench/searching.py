"""``make bench``, second part: µs per resource for its search values, µs per predicate, and the latency of searches.

Values and predicates are timed beside fhirpathpy, compiled, on the same expressions of the same resources. The searches
run on 100,000 Observations of 2,000 patients, in SQLite and in a PostgreSQL of its own.
"""
import random
import statistics
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import ending
from databases import databases

from fhirsub.fhir import json
from fhirsub.fhir.criteria import parse, parse_query
from fhirsub.fhir.definitions.parameters import search_parameters
from fhirsub.fhir.fhirpath import engine
from fhirsub.fhir.search_values import SearchValues
from fhirsub.store import search, versions

OBSERVATIONS, PATIENTS, SEARCHES = 100_000, 2_000, 200
CODES = ["718-7", "8867-4", "29463-7", "85354-9", "2708-6"]
NOW = datetime(2024, 1, 1, tzinfo=timezone.utc)
EXAMPLES = Path(__file__).parents[1] / "data" / "fhirpath_examples.jsonl"
PREDICATES = ["Observation?status=final", "Observation?code=http://loinc.org|85354-9", "Observation?subject=Patient/1",
              "Observation?date=ge2024", "Observation?value-quantity=gt5", "Observation?code:not=718-7",
              "Observation?_tag=vip", "Observation?component-code-value-quantity=http://loinc.org|8480-6$gt100"]


def median_us(work, rounds=200):
    """Median µs of ``work()``."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def examples():
    """The first example of each type, and a Bundle of 100 Observations."""
    found = {}
    for line in EXAMPLES.read_text().splitlines():
        resource = json.decode(line)
        found.setdefault(resource["resourceType"], resource)
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": found["Observation"]}] * 100}
    return {name: found[name] for name in ("Patient", "Observation", "Encounter")} | {"Bundle": bundle}


def of_engine(resource):
    """The same parameters by fhirpathpy: a callable, and how many parameters it takes."""
    compiled = []
    for parameter in search_parameters(resource["resourceType"]).values():
        if parameter.type != "composite" and not parameter.code.startswith("_"):
            compiled.append(engine.compile(parameter.expression, resource["resourceType"]))
    return lambda: [extract(resource) for extract in compiled], len(compiled)


def values():
    for name, resource in examples().items():
        ours = median_us(lambda: SearchValues(resource).all())
        every, count = of_engine(resource)
        theirs = median_us(every, 20)
        print(f"search values of a {name:<12} {ours:8.0f} µs   fhirpathpy, {count} expressions {theirs:8.0f} µs   "
              f"ratio {theirs / ours:.0f}", flush=True)


def predicates():
    observation = SearchValues(examples()["Observation"])
    for text in PREDICATES:
        criteria = parse(text)
        criteria.test(observation)  # the values are there from now on
        print(f"{text:<72} {median_us(lambda: criteria.test(observation), 2000):6.1f} µs", flush=True)


def observation(number, dice):
    return {"resourceType": "Observation", "id": f"o{number}", "status": dice.choice(["final", "amended"]),
            "code": {"coding": [{"system": "http://loinc.org", "code": dice.choice(CODES)}]},
            "subject": {"reference": f"Patient/p{dice.randrange(PATIENTS)}"},
            "effectiveDateTime": (NOW - timedelta(minutes=dice.randrange(10**6))).isoformat(),
            "valueQuantity": {"value": round(dice.uniform(1, 200), 1), "system": "http://unitsofmeasure.org", "code": "mg"}}


def fill(database):
    dice = random.Random(1)
    for first in range(0, OBSERVATIONS, 1000):
        with database.write() as tx:
            for number in range(first, first + 1000):
                versions.write(tx, observation(number, dice), now=NOW)
    with database.write() as tx:
        tx.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself within a minute


def questions(dice):
    """Names of searches and what makes the next one."""
    patient, code = (lambda: f"Patient/p{dice.randrange(PATIENTS)}"), (lambda: f"http://loinc.org|{dice.choice(CODES)}")
    return {"_id": lambda: [("_id", f"o{dice.randrange(OBSERVATIONS)}")],
            "subject": lambda: [("subject", patient())],
            "subject, code": lambda: [("subject", patient()), ("code", code())],
            "subject, date=ge": lambda: [("subject", patient()), ("date", "ge2023-06")],
            "code, value-quantity=gt199.5": lambda: [("code", code()), ("value-quantity", "gt199.5||mg")],
            "code (a fifth of all)": lambda: [("code", code())]}


def searches(database):
    fill(database)
    for name, ask in questions(random.Random(2)).items():
        times = []
        for _ in range(SEARCHES):
            criteria, began = parse_query("Observation", ask()), time.perf_counter()
            with database.read() as tx:
                search.find(tx, criteria, count=20, total=False)
            times.append((time.perf_counter() - began) * 1000)
        times.sort()
        print(f"{database.dialect:<11} {name:<32} p50 {times[len(times) // 2]:7.1f} ms   "
              f"p99 {times[int(len(times) * 0.99)]:7.1f} ms", flush=True)


def main():
    values()
    predicates()
    with databases() as both:
        for database in both:
            searches(database)


if __name__ == "__main__":
    ending.on_sigterm()
    main()
