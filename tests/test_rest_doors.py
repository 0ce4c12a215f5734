"""Types that the server itself acts on: every path of a write passes their door. Spec: reliability C3.8, C3.12"""
from contextlib import contextmanager

import pytest
from fhir_client import assert_refused, make_client
from test_bundle import bundle, entry, json_patch

from fhirsub.errors import Unprocessable


class BasicDoor:
    """Refuses the code ``bad`` outside the transaction and ``late`` inside; writes down what it is told."""

    def __init__(self):
        self.calls = []

    def fill(self, resource):
        return {"code": {"text": "none given"}} | resource

    def check(self, resource, *, config, base_url):
        self.calls.append("check")
        if resource.get("code", {}).get("text") == "bad":
            raise Unprocessable("Basic.code.text: is bad", expression="Basic.code.text")

    @contextmanager
    def admitting(self, tx, ids, *, now, config, base_url):
        yield self.admit

    def admit(self, resource, current):
        if resource is None:
            self.calls.append(f"removed {current['id']}")
            return None
        self.calls.append(f"admit after {current['code']['text'] if current else 'nothing'}")
        text = resource.get("code", {}).get("text", "nothing")
        if text == "late":
            raise Unprocessable("Basic.code.text: is late")
        return resource | {"code": {"text": f"{text} admitted"}}


def basic(text, **more):
    return {"resourceType": "Basic", "code": {"text": text}, **more}


def replaced(text):
    return {"op": "replace", "path": "/code/text", "value": text}


@pytest.fixture
def door():
    return BasicDoor()


@pytest.fixture
def client(database, door):
    made = make_client(database, doors={"Basic": door})
    made.put("Basic/b", basic("first", id="b"))
    door.calls.clear()
    return made


PATHS = {
    "create": lambda client, text: client.post("Basic", basic(text)),
    "conditional create": lambda client, text: client.post("Basic", basic(text), If_None_Exist="identifier=x"),
    "update": lambda client, text: client.put("Basic/b", basic(text, id="b")),
    "update that creates": lambda client, text: client.put("Basic/c", basic(text, id="c")),
    "conditional update": lambda client, text: client.put("Basic?_id=b", basic(text)),
    "patch": lambda client, text: client.patch("Basic/b", [replaced(text)]),
    "conditional patch": lambda client, text: client.patch("Basic?_id=b", [replaced(text)]),
    "transaction create": lambda client, text: client.post("", bundle("transaction", entry("POST", "Basic", basic(text)))),
    "transaction update": lambda client, text: client.post(
        "", bundle("transaction", entry("PUT", "Basic/b", basic(text, id="b")))),
    "transaction patch": lambda client, text: client.post(
        "", bundle("transaction", entry("PATCH", "Basic/b", json_patch(replaced(text))))),
}


@pytest.mark.parametrize("path", PATHS)
def test_every_write_path_passes_the_door(client, door, path):
    """C3.12: a patch, like each write path …, passes the one event hook: one test per path"""
    response = PATHS[path](client, "good")
    assert response.status_code in (200, 201)
    assert "good admitted" in response.text
    previous = "nothing" if "creat" in path else "first admitted"
    assert door.calls == ["check", f"admit after {previous}"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("text", ["bad", "late"])
def test_every_write_path_is_stopped_by_the_door(client, path, text):
    before = client.get("_history?_count=0").resource["total"]
    assert_refused(PATHS[path](client, text), 422, f"is {text}")
    assert client.get("_history?_count=0").resource["total"] == before


def test_batch_passes_the_door(client, door):
    """C3.8: nested Subscription entries take the same validation and activation path"""
    response = client.post("", bundle("batch", entry("POST", "Basic", basic("bad")), entry("POST", "Basic", basic("good"))))
    assert [one["response"]["status"][:3] for one in response.resource["entry"]] == ["422", "201"]
    assert door.calls == ["check", "check", "admit after nothing"]


@pytest.mark.parametrize("delete", [
    lambda client: client.delete("Basic/b"), lambda client: client.delete("Basic?_id=b"),
    lambda client: client.post("", bundle("transaction", entry("DELETE", "Basic/b"))),
    lambda client: client.post("", bundle("batch", entry("DELETE", "Basic/b")))])
def test_delete_tells_the_door_once(client, door, delete):
    delete(client)
    delete(client)
    assert door.calls == ["removed b"]


def test_revived_resource_has_no_current_one(client, door):
    client.delete("Basic/b")
    client.put("Basic/b", basic("again", id="b"))
    assert door.calls[-1] == "admit after nothing"


def test_what_the_door_fills_in_is_validated_and_not_stored(client):
    assert client.post("Basic", {"resourceType": "Basic"}).resource["code"]["text"] == "nothing admitted"
    assert_refused(client.post("Basic", []), 400)
    assert_refused(client.post("Basic", {"resourceType": "Basic", "code": 1}), 422, "Basic.code")
