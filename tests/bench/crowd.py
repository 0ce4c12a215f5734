"""The subscriptions of ``make bench-million``: a mix of distinct questions, filled straight into the engine's tables."""
import hashlib

from sqlalchemy import func, insert, select

from fhirsub.fhir.extensions import TOPICS
from fhirsub.fhir.topics import of_subscription
from fhirsub.store import changes
from fhirsub.store.tables import cursor, event, need, stream, stream_key, subscription

OTHER, THREE, THOUSAND = "other", "three", "thousand"  # patients with so many matching subscriptions
CODES = 200
SLICE = 10_000
HOT = 100_000
_shapes = {}
_ADMITTED = {"extension": [{"url": TOPICS, "valueReference": {"reference": "EventDefinition/admit"}}]}


def criteria(number):
    """What the subscription with this number asks, and the rest of the Subscription."""
    kind, patient = number % 20, f"p{number}"
    if kind < 14:
        return f"Observation?code=http://loinc.org|{number % CODES}&patient={patient}", {}
    if kind < 16:
        return f"Encounter?status=arrived&patient={patient}", {}
    if kind < 18:
        return f"Patient/{patient}", _ADMITTED
    if kind == 18:
        return f"Observation?code=http://acme.org|{number}", {}
    return _range(number // 20), {}


def _range(number):
    """A window of values, one of time, or a threshold; what is written lies below all of them."""
    if number % 3 == 0:
        return f"Observation?value-quantity=ge{10 + number / 8}&value-quantity=lt{10 + number / 8 + 1}"
    if number % 3 == 1:
        day, hour = divmod(number // 3, 24)
        at = f"{2000 + day // 336}-{day // 28 % 12 + 1:02}-{day % 28 + 1:02}T{hour:02}"
        return f"Observation?date=ge{at}:00:00Z&date=lt{at}:30:00Z"
    return f"Observation?value-quantity=gt{100 + number}"


def observation(patient, number):
    """An Observation of a patient; nobody asks for its code alone, its value or its date."""
    return {"resourceType": "Observation", "status": "final", "subject": {"reference": f"Patient/{patient}"},
            "code": {"coding": [{"system": "http://loinc.org", "code": str(number % CODES)}]},
            "effectiveDateTime": "1999-05-01T10:00:00Z", "valueQuantity": {"value": number % 9, "unit": "mg"}}


def coded(code):
    """The element ``code`` of what only those who ask for this code shall match."""
    return {"code": {"coding": [{"system": "http://acme.org", "code": code}]}}


def prepare(pipeline):
    """The topic, and the subscriptions that match: three for one patient, a thousand for another; all made as always."""
    pipeline.write({"resourceType": "EventDefinition", "id": "admit", "name": "admit", "status": "active", "trigger": [{
        "type": "named-event", "name": "admit", "data": [{"type": "Encounter"}],
        "condition": {"language": "text/fhirpath", "expression": "status = 'arrived'"}}]})
    for patient, count in ((THREE, 3), (THOUSAND, 1_000)):
        for number in range(count):     # websockets read for themselves: nothing is delivered meanwhile
            pipeline.subscribe(f"Observation?patient={patient}&value-quantity=lt{100 + number}",
                               id=f"{patient}{number}", kind="websocket")
    pipeline.match()


def fill(pipeline, size):
    """Have ``size`` subscriptions, on top of those that :func:`prepare` made, by the same functions as the matcher."""
    with pipeline.database.write() as tx:
        find = pipeline.matcher.topics.finder(tx)
        filled = tx.execute(select(func.count()).where(subscription.c.id.like("s%"))).scalar_one()
        ids = [tx.execute(select(func.max(column))).scalar_one() for column in (stream.c.id, subscription.c.key)]
        for start in range(filled, size, SLICE):
            _insert(tx, range(start, min(start + SLICE, size)), find, ids[0] - filled + 1, ids[1] - filled + 1)
    with pipeline.database.write() as tx:
        _number_on(tx)
        tx.exec_driver_sql("ANALYZE")  # as PostgreSQL does by itself within a minute


def _insert(tx, numbers, find, stream_id, key):
    asked = {number: _filed(number, find) for number in numbers}
    tx.execute(insert(stream), [{"id": stream_id + number, "question": text, "question_hash":
                                 hashlib.sha256(text.encode()).hexdigest()} for number, (text, _, _) in asked.items()])
    tx.execute(insert(stream_key), [{"stream_id": stream_id + number, "key": key}
                                    for number, (_, keys, _) in asked.items() for key in keys])
    tx.execute(insert(subscription), [{"key": key + number, "id": f"s{number}", "active": True, "push": True,
                                       "stream_id": stream_id + number} for number in numbers])
    tx.execute(insert(cursor), [{"subscription_key": key + number, "stream_id": stream_id + number, "base": 0,
                                 "since": 0, "accepted": 0} for number in numbers])
    _count(tx, {one for _, _, needs in asked.values() for one in needs})


def _filed(number, find):
    """Question, keys and needs; of those that differ by the patient alone only the first is read."""
    (text, more), patient = criteria(number), f"p{number}"
    if not text.endswith(patient):
        return _read(text, more, find)
    shape = text.removesuffix(patient)
    if shape not in _shapes:
        _shapes[shape] = _read(f"{shape}SOMEBODY", more, find)
    question, keys, needs = _shapes[shape]
    return question.replace("SOMEBODY", patient), [key.replace("SOMEBODY", patient) for key in keys], needs


def _read(text, more, find):
    question = of_subscription({"resourceType": "Subscription", "criteria": text, **more}, "", find)
    return question.canonical(), question.keys(find), question.needs(find)


def heat(pipeline):
    """``HOT`` subscriptions that all ask the same."""
    pipeline.subscribe("Observation?code=http://acme.org|hot", id="hot")
    pipeline.match()
    with pipeline.database.write() as tx:
        stream_id = tx.execute(select(func.max(stream.c.id))).scalar_one()
        key = tx.execute(select(func.max(subscription.c.key))).scalar_one() + 1
        tx.execute(insert(subscription), [{"key": key + number, "id": f"hot{number}", "active": True, "push": True,
                                           "stream_id": stream_id} for number in range(HOT)])
        tx.execute(insert(cursor), [{"subscription_key": key + number, "stream_id": stream_id, "base": 0, "since": 0,
                                     "accepted": 0} for number in range(HOT)])
        _number_on(tx)
        tx.exec_driver_sql("ANALYZE")


def forget(pipeline):
    """Empty the log of events: the longer it is, the more pages the events of a batch are spread over."""
    with pipeline.database.write() as tx:
        tx.exec_driver_sql(f"{'TRUNCATE' if tx.dialect.name == 'postgresql' else 'DELETE FROM'} {event}")


def _count(tx, needs):
    counted = {f"{row.type} {row.name}" for row in tx.execute(select(need))}
    for one in needs - counted:
        type, _, name = one.partition(" ")
        tx.execute(insert(need).values(type=type, name=name, streams=1))


def _number_on(tx):
    """Let PostgreSQL number what is made from now on after the rows that came with a number."""
    if tx.dialect.name == "postgresql":
        for table, column in ((stream, "id"), (subscription, "key")):
            tx.exec_driver_sql(f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "
                               f"(SELECT max({column}) FROM {table}))")


def size_bytes(database):
    """Of the whole database."""
    with database.read() as tx:
        if tx.dialect.name == "postgresql":
            return tx.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        pages, free, of_bytes = (tx.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                                 for name in ("page_count", "freelist_count", "page_size"))
        return (pages - free) * of_bytes


def is_pending(database):
    """Whether a change waits for the matcher."""
    with database.read() as tx:
        return changes.is_pending(tx)
