"""Metrics and health routes. Spec: https://prometheus.io/docs/instrumenting/exposition_formats/"""
import logging
import re
from collections import Counter

import flask
import pytest
from delivering import delivery, receiver  # noqa: F401
from receiver import status

from fhirsub import FHIRSub, create_app
from fhirsub.web.monitoring import blueprint
from fhirsub.web.server import Server


def client(d, outcomes=None):
    app = flask.Flask(__name__)
    app.register_blueprint(blueprint(Server(d.database, d.config, d.clock), d.dispatcher.outcomes if outcomes is None
                                     else outcomes))
    return app.test_client()


def metrics(d, outcomes=None):
    """``{'name{label="value"}': number}``"""
    answer = client(d, outcomes).get("/metrics")
    assert answer.status_code == 200 and answer.content_type.startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert answer.text.endswith("\n") and all(re.fullmatch(
        r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="([^"\\]|\\.)*"\})? [0-9.]+', line) for line in lines), lines
    return {name: float(number) for name, number in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def test_metrics_count_what_happened(delivery):
    d = delivery()
    d.subscribe()
    d.subscribe(id="ill", path="/ill")
    d.receiver.behave("/ill", status(500))
    d.happen(2)
    d.clock.move(1)
    d.pump()
    d.match()
    d.write({"resourceType": "Patient"})
    d.clock.move(30)
    found = metrics(d)
    assert found["fhirsub_changes_total"] == 6 and found["fhirsub_events_total"] == 2
    assert found['fhirsub_attempts_total{outcome="accepted"}'] == 2
    assert found['fhirsub_attempts_total{outcome="status"}'] == 1
    assert found['fhirsub_attempts_recent{outcome="accepted"}'] == 2
    assert found['fhirsub_subscriptions{status="error"}'] == 1 == found['fhirsub_subscriptions{status="active"}']
    assert found["fhirsub_pending_changes"] == 1 and found["fhirsub_matcher_held"] == 0
    assert found["fhirsub_due_subscriptions"] == 1 == found["fhirsub_retrying_subscriptions"]
    assert found["fhirsub_lag_seconds"] == 31


def test_metrics_of_an_idle_server_are_there(delivery):
    found = metrics(delivery())
    assert found["fhirsub_changes_total"] == found["fhirsub_lag_seconds"] == found["fhirsub_due_subscriptions"] == 0


def test_outcome_of_a_foreign_channel_is_escaped(delivery):
    assert metrics(delivery(), Counter({'a "b"\n\\c': 2}))['fhirsub_attempts_total{outcome="a \\"b\\"\\n\\\\c"}'] == 2


def test_health_tells_whether_the_database_is_there(delivery, monkeypatch):
    from fhirsub.errors import StorageError
    d = delivery()
    asked = client(d)
    assert asked.get("/health/live").json == {"live": True} and asked.get("/health/ready").json == {"ready": True}

    def away():
        raise StorageError("password=hush")
    monkeypatch.setattr(d.database, "read", away)
    assert asked.get("/health/live").status_code == 200
    answer = asked.get("/health/ready")
    assert answer.status_code == 503 and answer.json["ready"] is False and "hush" not in answer.text
    assert asked.get("/metrics").status_code == 503


@pytest.mark.parametrize("settings, there", [({}, 200), ({"METRICS_PATH": "", "HEALTH_PATH": ""}, 404)])
def test_routes_are_where_the_settings_say(sqlite_url, tmp_path, settings, there):
    app = create_app(DATABASE=sqlite_url, SECRET_KEY_FILE=f"{tmp_path}/key", WORKERS=False, WEBSOCKET_PATH="",
                     **settings)
    for path in ("/metrics", "/health/live", "/health/ready"):
        assert app.test_client().get(path).status_code == there
    assert app.test_client().get("/fhir/metadata").status_code == 200
    app.extensions["fhirsub"].stop()


@pytest.fixture
def host(sqlite_url, tmp_path):
    """``mount(app)`` adds a FHIRSub to an application that has routes of its own."""
    made = []

    def mount(app, **settings):
        made.append(FHIRSub(app, DATABASE=sqlite_url, SECRET_KEY_FILE=f"{tmp_path}/key", WORKERS=False, **settings))
    yield mount
    for one in made:
        one.stop()


@pytest.mark.parametrize("path, settings", [
    ("/metrics", {"METRICS_PATH": ""}), ("/metrics", {"METRICS_PATH": "/fhirsub-metrics"}),
    ("/health/ready", {"HEALTH_PATH": "/fhirsub-health"})])
def test_path_that_the_application_has_is_refused(host, path, settings):
    refused, mounted = flask.Flask("host"), flask.Flask("host")
    for app in (refused, mounted):
        app.add_url_rule(path, "mine", lambda: "mine")
    with pytest.raises(ValueError, match=f"FHIRSUB_[A-Z]+_PATH: the application has a route at {path} too"):
        host(refused)
    host(mounted, **settings)
    assert mounted.test_client().get(path).text == "mine"


def test_route_that_the_application_adds_later_is_told_once(host, caplog):
    app = flask.Flask("host")
    host(app)
    app.add_url_rule("/metrics", "mine", lambda: "mine")
    app.add_url_rule("/health/live", "posted", lambda: "mine", methods=["POST"])
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            app.test_client().get("/fhir/metadata")
    [told] = [record.getMessage() for record in caplog.records if record.name == "fhirsub.web.monitoring"]
    assert told.startswith("FHIRSUB_METRICS_PATH: the application has a route at /metrics too")
