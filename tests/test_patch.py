"""JSON Patch on resources. Spec: https://hl7.org/fhir/R4/http.html#patch, https://www.rfc-editor.org/rfc/rfc6902"""
from decimal import Decimal

import pytest

from fhirsub.errors import BadRequest, TooLarge, Unprocessable
from fhirsub.fhir.patch import MAX_OPERATIONS, apply

RESOURCE = {"resourceType": "Patient", "id": "1", "active": True, "name": [{"given": ["Ann"]}],
            "extension": [{"url": "urn:x", "valueDecimal": Decimal("1.00")}]}


@pytest.mark.parametrize("operations, path, expected", [
    ([{"op": "add", "path": "/birthDate", "value": "1970-01-01"}], ("birthDate",), "1970-01-01"),
    ([{"op": "add", "path": "/name/0/given/-", "value": "Bo"}], ("name", 0, "given"), ["Ann", "Bo"]),
    ([{"op": "add", "path": "/name/0", "value": {"text": "A"}}], ("name",), [{"text": "A"}, {"given": ["Ann"]}]),
    ([{"op": "replace", "path": "/active", "value": False}], ("active",), False),
    ([{"op": "remove", "path": "/name/0/given/0"}], ("name", 0, "given"), []),
    ([{"op": "copy", "from": "/name/0", "path": "/name/-"}], ("name",), [{"given": ["Ann"]}] * 2),
    ([{"op": "move", "from": "/name/0/given", "path": "/name/0/prefix"}], ("name",), [{"prefix": ["Ann"]}]),
    ([{"op": "test", "path": "/active", "value": True}], ("active",), True),
    ([{"op": "test", "path": "/name/0", "value": {"given": ["Ann"]}}], ("active",), True),
])
def test_apply_carries_out_operation(operations, path, expected):
    patched = apply(RESOURCE, operations)
    for step in path:
        patched = patched[step]
    assert patched == expected


def test_apply_leaves_the_given_resource_and_the_digits_alone():
    before = repr(RESOURCE)
    patched = apply(RESOURCE, [{"op": "add", "path": "/name/0/family", "value": "B"}])
    assert repr(RESOURCE) == before
    assert str(patched["extension"][0]["valueDecimal"]) == "1.00"


@pytest.mark.parametrize("operations, words", [
    ({"op": "add"}, "array of operations"),
    ("x", "array of operations"),
    (["x"], "operation 0"),
    ([{}], "operation 0"),
    ([{"op": "test", "path": "/active", "value": True}, {"op": "frob", "path": "/a"}], "operation 1"),
    ([{"op": 1, "path": "/a"}], "operation 0"),
    ([{"op": "add", "path": "/a"}], "value"),
    ([{"op": "add", "value": 1}], "path"),
    ([{"op": "copy", "path": "/a"}], "from"),
    ([{"op": "test", "path": "/active", "value": True}] * (MAX_OPERATIONS + 1), str(MAX_OPERATIONS)),
])
def test_apply_refuses_what_is_no_json_patch(operations, words):
    with pytest.raises(BadRequest, match=words):
        apply(RESOURCE, operations)


@pytest.mark.parametrize("operations, words", [
    ([{"op": "remove", "path": "/gender"}], "gender"),
    ([{"op": "replace", "path": "/gender", "value": "male"}], "gender"),
    ([{"op": "add", "path": "/name/7", "value": {}}], "/name/7"),
    ([{"op": "add", "path": "/name/x", "value": {}}], "/name/x"),
    ([{"op": "remove", "path": "/name/-1"}], "/name/-1"),
    ([{"op": "add", "path": "/name/0/given/0/x", "value": 1}], "given"),
    ([{"op": "add", "path": "no-slash", "value": 1}], "no-slash"),
    ([{"op": "move", "from": "/name", "path": "/name/0"}], "/name/0"),
    ([{"op": "test", "path": "/active", "value": False}], "test"),
    ([{"op": "test", "path": "/gender", "value": "male"}], "test"),
    ([{"op": "replace", "path": "/id", "value": "2"}], "id"),
    ([{"op": "replace", "path": "/resourceType", "value": "Person"}], "resourceType"),
    ([{"op": "replace", "path": "", "value": []}], "resourceType"),
    ([{"op": "remove", "path": "/id"}], "id"),
])
def test_apply_refuses_what_does_not_fit_the_resource(operations, words):
    with pytest.raises(Unprocessable, match=words):
        apply(RESOURCE, operations)


def test_apply_stops_copies_that_double_the_resource():
    operations = [{"op": "add", "path": "/x", "value": ["x" * 1000]}]
    operations += [{"op": "copy", "from": "/x", "path": "/x/-"}] * 60
    with pytest.raises(TooLarge):
        apply(RESOURCE, operations)


def test_apply_stops_nesting_without_end():
    operations = [{"op": "add", "path": "/a" * depth, "value": {}} for depth in range(1, 400)]
    with pytest.raises((BadRequest, Unprocessable), match="nested"):
        apply(RESOURCE, operations)
