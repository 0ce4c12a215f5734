"""``make bench-million``: what a write costs while the subscriptions grow from a thousand to a million, side by side.

The Subscriptions ask distinct questions: 70 % patient + code, 10 % status + patient, 10 % topic + patient, 5 % code
only, 5 % ranges. They are filled straight into the engine's tables; how fast the real way makes them is told as well.
"""
import argparse
import gc
import json
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

from sqlalchemy import select

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import crowd
import ending
from databases import migrated, own_postgresql
from live import Client, Live, observation, subscription
from pipeline import Pipeline
from receiver import Receiver

from fhirsub.fhir.search_values import SearchValues
from fhirsub.fhir.topics import Written
from fhirsub.fhir.topics.question import read
from fhirsub.store.tables import stream

SIZES = [1_000, 10_000, 100_000, 1_000_000]
SCANNED = 100_000   # the longest scan; more only repeats its slope
WRITES, BATCHES = 200, 4
KINDS = {"0 matching": (crowd.OTHER, WRITES), "3 matching": (crowd.THREE, WRITES),
         "1,000 matching": (crowd.THOUSAND, 20)}
BUNDLE, BUNDLES = 1_000, 5


def percentiles(times):
    times = sorted(times)
    return [times[len(times) // 2] * 1e3, times[int(len(times) * 0.99)] * 1e3]


def timed(function, *given):
    began = time.perf_counter()
    function(*given)
    return time.perf_counter() - began


def alone(pipeline, patient, count):
    """``[p50, p99]`` in ms of matching one change, and of storing and matching it."""
    matching, whole = [], []
    for number in range(count):
        stored = timed(pipeline.write, crowd.observation(patient, number))
        matching.append(timed(pipeline.matcher.step))
        whole.append(stored + matching[-1])
    return percentiles(matching), percentiles(whole)


def batched(pipeline, patient, count):
    """ms of matching per change in a full batch, and of the matcher's processor time: the least of BATCHES.

    Whatever else runs here only adds to it. SQLite works inside the matcher's process, PostgreSQL does not.
    """
    times = []
    for _ in range(BATCHES):
        for number in range(count):
            pipeline.write(crowd.observation(patient, number))
        began = time.process_time()
        times.append((timed(pipeline.match) / count * 1e3, (time.process_time() - began) / count * 1e3))
    return [min(one) for one in zip(*times)]


def scan(pipeline, count):
    """ms per change for testing every compiled question, one after the other."""
    with pipeline.database.read() as tx:
        plain = select(stream.c.question).where(stream.c.question.not_like("{%"))
        texts = tx.execute(plain.limit(count)).scalars().all()
    questions = [read(text) for text in texts]
    resource, times = crowd.observation(crowd.OTHER, 1), []
    for _ in range(5):
        written = Written(1, "Observation", "x", "create", current=SearchValues(resource))
        times.append(timed(lambda: [question.test(written) for question in questions]))
    return sorted(times)[2] * 1e3 * count / len(questions)


def switching(pipeline):
    """ms (p50) of storing and switching one Subscription: ``{"create": ms, "change": ms, "delete": ms}``."""
    def asking(code):
        pipeline.subscribe(f"Observation?code=http://acme.org|{code}", id="one")
        pipeline.match()

    def delete():
        pipeline.delete("Subscription", "one")
        pipeline.match()

    rounds = [(timed(asking, f"a{number}"), timed(asking, f"b{number}"), timed(delete)) for number in range(WRITES)]
    return {name: percentiles(times)[0] for name, times in zip(("create", "change", "delete"), zip(*rounds))}


def measure(pipeline, size):
    """ms at this size: ``{"0 matching": {"matching": [p50, p99], "batch": 0.2, …}, "switching": {…}, "scan": 1.1}``."""
    found = {}
    for name, (patient, count) in KINDS.items():
        alone(pipeline, patient, 5)
        matching, whole = alone(pipeline, patient, count)
        batch, processor = batched(pipeline, patient, pipeline.config.match_batch if count == WRITES else 32)
        found[name] = {"matching": matching, "write": whole, "batch": batch, "processor": processor}
        print(f"  {name:<15} matching {matching[0]:8.2f} {matching[1]:8.2f}   whole write {whole[0]:8.2f} "
              f"{whole[1]:8.2f}   in batches {batch:7.3f} ms ({processor:.3f} of the processor), "
              f"{1e3 / batch:6.0f}/s", flush=True)
    found["switching"] = switching(pipeline)
    print("  a Subscription is created and switched on in {create:.2f} ms, asks something else in {change:.2f}, is "
          "deleted in {delete:.2f}".format(**found["switching"]), flush=True)
    if size <= SCANNED:
        found["scan"] = scan(pipeline, size)
        times = found["scan"] / found["0 matching"]["batch"]
        print(f"  linear scan     matching {found['scan']:8.2f} ms: {times:,.0f} times as long", flush=True)
    return found


def serving(url, folder):
    """Start-up in s, resident MB, and ms from a Subscription's 201 until the next write is answered, and notified."""
    with Receiver() as receiver:
        began = time.perf_counter()
        with Live(url, folder) as live:
            started, client = time.perf_counter() - began, Client(live)
            client.create(observation())
            memory = _resident_mb(live.process.pid)
            client.create(subscription("Observation?code=http://acme.org|first", type="rest-hook",
                                       endpoint=receiver.url("/first")))
            created = time.monotonic()
            client.create(observation() | crowd.coded("first"))
            caught = (time.monotonic() - created) * 1e3
            notified = (receiver.wait(1, timeout_s=60)[0].at - created) * 1e3
            live.stop()
            return {"start_s": started, "memory_mb": memory, "caught_ms": caught, "notified_ms": notified}


def creating(database, folder):
    """Subscriptions per second by transaction Bundles, until they are answered, and until they are switched on."""
    with Live(database.url, folder) as live:
        client, began = Client(live), time.perf_counter()
        for number in range(BUNDLES):
            entries = [{"request": {"method": "POST", "url": "Subscription"}, "resource": subscription(
                f"Observation?patient=b{number}-{one}&code=http://loinc.org|1-1", type="rest-hook",
                endpoint="http://127.0.0.1:9999/")} for one in range(BUNDLE)]
            status, answer = client.request("POST", "", {"resourceType": "Bundle", "type": "transaction",
                                                         "entry": entries})
            assert status == 200, answer
        answered = time.perf_counter() - began
        while crowd.is_pending(database):
            time.sleep(0.02)
        live.stop()
        return BUNDLE * BUNDLES / answered, BUNDLE * BUNDLES / (time.perf_counter() - began)


def hot(pipeline, name):
    """Print what a write costs that one stream with very many subscriptions matches, and how many rows it makes."""
    crowd.heat(pipeline)
    times = []
    for number in range(20):
        pipeline.write(crowd.observation(crowd.OTHER, number) | crowd.coded("hot"))
        times.append(timed(pipeline.matcher.step) * 1e3)
    print(f"{name}: one stream with {crowd.HOT:,} subscriptions: {times[0]:.0f} ms to match the first write, which makes "
          f"all of them due, then {sorted(times[1:])[9]:.1f} ms", flush=True)


def _resident_mb(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def grow(name, database, folder, sizes):
    """All figures of one database, by size."""
    pipeline, found = Pipeline(database), {}
    pipeline.clock.now = datetime.now(timezone.utc)
    crowd.prepare(pipeline)
    for before, size in zip([0, *sizes], sizes):
        bytes_before = crowd.size_bytes(database)
        took = timed(crowd.fill, pipeline, size)
        per_one = (crowd.size_bytes(database) - bytes_before) / (size - before)
        print(f"{name}: {size:,} subscriptions, filled in {took:.0f} s, {per_one:.0f} bytes each in the engine's tables",
              flush=True)
        crowd.forget(pipeline)
        found[size] = measure(pipeline, size) | {"bytes": per_one} | serving(database.url, folder)
        print("  starts in {start_s:.2f} s, {memory_mb:.0f} MB; after a Subscription's 201 the first write that it "
              "catches is answered in {caught_ms:.1f} ms and notified in {notified_ms:.0f} ms".format(**found[size]),
              flush=True)
        gc.collect()
        pipeline.clock.now = datetime.now(timezone.utc)
    answered, switched = creating(database, folder)
    print(f"{name}: Bundles of {BUNDLE:,}: {answered:.0f} Subscriptions/s stored, {switched:.0f}/s switched on",
          flush=True)
    pipeline.clock.now = datetime.now(timezone.utc)
    hot(pipeline, name)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="how many subscriptions, growing")
    parser.add_argument("--only", choices=["sqlite", "postgresql"], help="one database (default: both)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--plot", type=Path, help="write the curve to this PNG (pip install matplotlib)")
    given = parser.parse_args()
    found, sizes = {}, sorted(given.sizes)
    with tempfile.TemporaryDirectory() as folder:
        if given.only != "postgresql":
            with migrated(f"sqlite:///{folder}/million.db") as database:
                found["SQLite"] = grow("SQLite", database, folder, sizes)
        if given.only != "sqlite":
            with own_postgresql() as server:
                server.psql("CREATE DATABASE bench")
                with migrated(server.get_uri("bench")) as database:
                    found["PostgreSQL"] = grow("PostgreSQL", database, folder, sizes)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    if given.plot:
        import curve
        curve.draw(found, given.plot)


if __name__ == "__main__":
    ending.on_sigterm()
    main()
