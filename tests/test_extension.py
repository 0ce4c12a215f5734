"""FHIRSub on an application: mounted, started with the first request, and told by a host's own transaction."""
import importlib.util
import json
import sys
from pathlib import Path

import pytest
from flask import Flask
from receiver import Receiver
from sqlalchemy import create_engine

import fhirsub
from fhirsub.errors import Unprocessable

EXAMPLES = Path(__file__).parent.parent / "examples"
FHIR = "application/fhir+json"


@pytest.fixture
def receiver():
    with Receiver() as running:
        yield running


@pytest.fixture
def settings(tmp_path):
    return {"SECRET_KEY_FILE": str(tmp_path / "fhirsub.key"), "HOST": "127.0.0.1"}


def example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def subscribe(http, receiver, criteria, path="/hook"):
    answer = http.post("/fhir/Subscription", data=json.dumps({
        "resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": criteria,
        "channel": {"type": "rest-hook", "endpoint": receiver.url(path), "payload": FHIR}}), content_type=FHIR)
    assert answer.status_code == 201, answer.text
    return answer.json


def sent(receiver):
    """The first resource that the endpoint received."""
    return json.loads(receiver.wait(1, "/hook")[0].body)


@pytest.fixture
def beds(live_url, settings):
    url = live_url.replace("postgresql://", "postgresql+psycopg://")  # the driver that is installed
    host = example("host_app")
    app = host.create_app(url, **settings)
    yield app.test_client()
    app.extensions["fhirsub"].stop()
    host.metadata.drop_all(create_engine(url))  # the next test finds only tables of fhirsub


def test_host_application_notifies_in_its_own_transaction(beds, receiver):
    subscribe(beds, receiver, "Location?status=suspended")
    assert beds.put("/beds/12", json={"ward": "West", "status": "active"}).status_code == 200
    assert beds.put("/beds/12", json={"ward": "West", "status": "suspended"}).status_code == 200
    bed = sent(receiver)
    assert (bed["id"], bed["status"], bed["meta"]["versionId"]) == ("12", "suspended", "2")
    assert receiver.at("/hook")[1:] == []


def test_host_application_rolled_back_notifies_nobody(beds, receiver):
    subscribe(beds, receiver, "Location")
    for wrong in {"ward": "West", "status": "on fire"}, {"ward": "West"}:
        assert beds.put("/beds/1", json=wrong).status_code == 422
    assert beds.get("/beds/1").status_code == 404
    assert beds.put("/beds/2", json={"ward": "West", "status": "active"}).status_code == 200
    assert sent(receiver)["id"] == "2"
    assert len(receiver.at("/hook")) == 1


def test_typed_resource_of_the_host_is_taken(live_url, settings, receiver):
    from fhir.resources.R4B.location import Location
    app = fhirsub.create_app(DATABASE=live_url, **settings)
    ours = app.extensions["fhirsub"]
    try:
        subscribe(app.test_client(), receiver, "Location?name=ward")
        bed = Location(id="9", name="Ward 9", status="active")
        with ours.database.write() as tx:
            ours.record(fhirsub.Change("Location", "9", "1", "create", resource=bed), connection=tx)
        assert sent(receiver) == {"resourceType": "Location", "id": "9", "name": "Ward 9",
                                                 "status": "active"}
    finally:
        ours.stop()


@pytest.mark.parametrize("change, words", [
    (("Location", "9", "1", "create", None), "needs the resource"),
    (("Location", "9", "1", "created", {"resourceType": "Location", "id": "9"}), "create | update | delete"),
    (("Location", "9", "1", "create", {"resourceType": "Location", "id": "8"}), "expected Location/9; got Location/8"),
    (("Subscription", "9", "1", "create", {"resourceType": "Subscription", "id": "9"}), "REST API"),
])
def test_record_refuses_what_the_change_does_not_say(sqlite_url, settings, change, words):
    ours = fhirsub.create_app(DATABASE=sqlite_url, **settings).extensions["fhirsub"]
    with pytest.raises(Unprocessable, match=words.replace("|", r"\|")):
        with ours.database.write() as tx:
            ours.record(fhirsub.Change(*change), connection=tx)
    ours.stop()


def test_application_that_does_not_say_where_it_listens_sends_to_no_loopback_endpoint(sqlite_url, settings, receiver):
    app = fhirsub.create_app(DATABASE=sqlite_url, **settings | {"HOST": ""})
    answer = app.test_client().post("/fhir/Subscription", content_type=FHIR, data=json.dumps({
        "resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": "Location",
        "channel": {"type": "rest-hook", "endpoint": receiver.url("/hook")}}))
    assert answer.status_code == 422 and answer.json["issue"][0]["expression"] == ["Subscription.channel.endpoint"]
    app.extensions["fhirsub"].stop()


def test_second_registration_is_refused_with_the_cure(sqlite_url, settings):
    app = Flask("twice")
    fhirsub.FHIRSub(app, DATABASE=sqlite_url, **settings)
    with pytest.raises(RuntimeError, match="app.extensions"):
        fhirsub.FHIRSub(app)


def test_base_path_and_settings_come_from_the_flask_config(sqlite_url, settings):
    app = Flask("configured")
    app.config.update(FHIRSUB_DATABASE=sqlite_url, FHIRSUB_BASE_PATH="/r4", FHIRSUB_WORKERS=False)
    ours = fhirsub.FHIRSub(app, **settings)
    assert app.test_client().get("/r4/metadata").status_code == 200
    assert app.test_client().get("/fhir/metadata").status_code == 404
    assert [thread.name for thread in ours._threads] == ["fhirsub-tail"]
    ours.stop()


def test_importing_the_package_is_light():
    import subprocess
    code = "import fhirsub, sys; assert 'flask' not in sys.modules; fhirsub.FHIRSub; assert 'flask' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
