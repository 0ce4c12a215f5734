"""The quick schema never accepts what the walk refuses, and is quick."""
import copy
import random
import time

import pytest

from fhirsub.fhir.json import decode
from fhirsub.fhir.validation import check
from fhirsub.fhir.validation.faults import faults
from fhirsub.fhir.validation.schema import validator

PATIENT = decode("""{"resourceType": "Patient", "id": "p", "meta": {"versionId": "1", "profile": ["http://p"]},
  "text": {"status": "generated", "div": "<div>x</div>"}, "active": true, "gender": "male", "birthDate": "1974-12-25",
  "identifier": [{"use": "usual", "system": "urn:oid:1.2.3", "value": "1", "period": {"start": "2001-05-06"}}],
  "name": [{"family": "F", "given": ["A", "B"]}], "telecom": [{"rank": 1}], "multipleBirthInteger": 2,
  "photo": [{"contentType": "image/gif", "data": "AAAA", "size": 3}],
  "link": [{"other": {"reference": "Patient/1"}, "type": "seealso"}]}""")
OBSERVATION = decode("""{"resourceType": "Observation", "status": "final", "issued": "2020-01-01T00:00:00.000Z",
  "effectiveDateTime": "2020-01-01T10:00:00+01:00",
  "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
  "valueQuantity": {"value": 1.50, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"},
  "component": [{"code": {"text": "x"}, "valueTime": "10:00:00"}],
  "extension": [{"url": "http://x", "valueDecimal": 1.0}, {"url": "http://y", "valueOid": "urn:oid:1.2"}]}""")
ODD = [None, [], {}, "", 0, 5, -1, 2**31, True, decode("1.0"), decode("1.5"), [None], ["x"], [{}], {"x": 1},
       {"id": "a"}, [{"id": "a"}], "bogus", " a", "a  b", " ", "\n", "x\n", "2024\n", "a\u00a0b", "\u2028", "x\u0000", "é",
       "=", "AAA=", "2024-02-29", "2023-02-29", "2024-02-30", "2024-02-29T10:00:00Z", "urn:oid:3.1", "urn:uuid:"]


def places(value):
    """Every place in a JSON value, as (holder, key)."""
    for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
        yield value, key
        if isinstance(item, (dict, list)):
            yield from places(item)


def variants(resource):
    """The resource with one place changed to each odd value, or with a property more."""
    for holder, key in list(places(resource)):
        kept = holder[key]
        for odd in ODD:
            holder[key] = odd
            yield f"{key}={odd!r}"
        holder[key] = kept
        for name in [f"_{key}", f"{key}x", "valueString"] if isinstance(holder, dict) else []:
            if name not in holder:
                holder[name] = random.choice(ODD)
                yield f"{name}={holder.pop(name)!r}"


@pytest.mark.parametrize("given", [PATIENT, OBSERVATION], ids=["Patient", "Observation"])
def test_schema_accepts_nothing_that_the_walk_refuses(given):
    resource = copy.deepcopy(given)
    name = given["resourceType"]
    for changed in variants(resource):
        if resource.get("resourceType") == name and validator(name).is_valid(resource):
            assert list(faults(name, resource, name)) == [], changed
    assert resource == given


@pytest.mark.parametrize("given", [PATIENT, OBSERVATION], ids=["Patient", "Observation"])
def test_schema_accepts_usual_shapes_without_the_walk(given):
    assert validator(given["resourceType"]).is_valid(given)


def test_check_takes_microseconds():
    check(PATIENT)
    started = time.perf_counter()
    for _ in range(200):
        check(PATIENT)
    # Some 10 µs on an idle machine; the limit allows for a busy one and still tells the schema from the walk.
    assert (time.perf_counter() - started) / 200 < 100e-6


@pytest.mark.parametrize("text", [" " * 200_000 + "\u0000", "AAAA" + " " * 200_000 + "!", "a " * 100_000 + " ",
                                  "A" * 200_001])
def test_no_string_stalls_the_door(text):
    resource = {"resourceType": "Patient", "gender": text, "language": text, "photo": [{"data": text}],
                "name": [{"family": text}], "birthDate": text}
    started = time.perf_counter()
    list(faults("Patient", resource, "Patient"))
    validator("Patient").is_valid(resource)
    assert time.perf_counter() - started < 1
