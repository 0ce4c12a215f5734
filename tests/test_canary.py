"""No patient data where it does not belong: a canary in every field and header, and failures of every kind."""
import io
import json
import logging
import subprocess
import time
import urllib.request
import uuid

import pytest
from delivering import delivery, receiver  # noqa: F401
from live import FHIRSUB, Client, Live, subscription
from receiver import Receiver, hang, reset, status

from fhirsub import logs
from fhirsub.config import Config

CANARY = f"PHI-CANARY-{uuid.uuid4()}"
FAILURES = {"500": status(500, [("X-Told", CANARY)], CANARY.encode()), "302": status(302, [("Location", f"/{CANARY}")]),
            "429": status(429, [("Retry-After", CANARY)]), "hung": hang(), "cut": reset(CANARY.encode()), "gone": status(410)}


def observation():
    return {"resourceType": "Observation", "status": "final", "identifier": [{"system": f"urn:{CANARY}", "value": CANARY}],
            "code": {"text": CANARY, "coding": [{"system": "http://loinc.org", "code": CANARY}]},
            "subject": {"reference": f"Patient/{CANARY}", "display": CANARY}, "valueString": CANARY,
            "text": {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{CANARY}</div>'},
            "note": [{"text": CANARY}], "meta": {"source": f"http://{CANARY}", "tag": [{"code": CANARY}]}}


def subscribe(client, receiver):
    """One Subscription for each kind of failure, with the canary wherever its owner can write."""
    made = []
    for name, behaviour in FAILURES.items():
        receiver.behave(f"/{name}/{CANARY}?x={CANARY}", behaviour)
        resource = subscription(f"Observation?identifier=urn:{CANARY}|{CANARY}", type="rest-hook",
                                payload="application/fhir+json", endpoint=receiver.url(f"/{name}/{CANARY}?x={CANARY}"),
                                header=[f"Authorization: Bearer {CANARY}", f"X-Api-Key: {CANARY}", f"X-Plain: {CANARY}"])
        made.append(client.create(resource | {"reason": CANARY, "contact": [{"system": "phone", "value": CANARY}]})["id"])
    return made


def misuse(client):
    """Requests that are refused, each for another reason."""
    for method, path, body in (
            ("POST", "Observation", observation() | {"status": CANARY}), ("POST", "Observation", {"resourceType": CANARY}),
            ("GET", f"Observation?date={CANARY}", None), ("GET", f"Patient/{CANARY}", None),
            ("GET", f"{CANARY}/1", None), ("POST", "Subscription", subscription(f"Observation?{CANARY}=1", type="email")),
            ("POST", "Subscription", subscription("Observation", type="rest-hook", endpoint=f"http://{CANARY}@10.0.0.1/"))):
        assert client.request(method, path, body, **{"X-Request-Id": CANARY})[0] >= 400


@pytest.mark.parametrize("live_url, log_format", [("sqlite", "text"), ("postgresql", "json")], indirect=["live_url"])
def test_canary_is_nowhere_but_where_it_belongs(live_url, tmp_path, log_format):
    live = Live(live_url, tmp_path, LOG_FORMAT=log_format, LOG_LEVEL="DEBUG", ATTEMPT_TIMEOUT_S="0.5",
                RETRY_SCHEDULE_S="0.1 0.1", RETRY_FLOOR_S="0.1", SWEEP_S="0.2")
    with Receiver() as receiver, open(tmp_path / "log", "w") as live.log, live:
        client = Client(live)
        ids = subscribe(client, receiver)
        client.create(observation())
        misuse(client)
        for name in FAILURES:
            assert receiver.wait(1, f"/{name}/{CANARY}?x={CANARY}", timeout_s=60)
        told = {"status": fhirsub_status(live, tmp_path, ids)}
        assert told["status"].count("endpoint") >= 4
        told |= {f"attempts of {id}": json.dumps(client.request("GET", f"Subscription/{id}/$attempts")[1]) for id in ids}
        told |= {f"error of {id}": client.request("GET", f"Subscription/{id}")[1].get("error", "") for id in ids}
        with urllib.request.urlopen(live.base.removesuffix("/fhir") + "/metrics", timeout=30) as metrics:
            told["metrics"] = metrics.read().decode()
        assert 'outcome="timeout"' in told["metrics"]
        assert live.stop() == 0
    told |= {"log": (tmp_path / "log").read_text()}
    assert not [name for name, text in told.items() if CANARY in text]


def fhirsub_status(live, folder, ids):
    """What the command prints once every Subscription has failed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        told = subprocess.run([FHIRSUB, "status", "--json", "--database", live.database], cwd=folder, capture_output=True,
                              text=True, check=True).stdout
        failing = [one["id"] for one in json.loads(told)["standings"] if one["error"]]
        if set(failing) >= set(ids):
            break
        time.sleep(0.2)
    return told


class Careless:
    """A host application's channel that says too much when it fails."""

    def send(self, notification):
        raise KeyError(notification.resource["note"][0]["text"])


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_what_a_careless_channel_says_is_told_nowhere(delivery, log_format):
    d, written = delivery(), io.StringIO()
    handler = logs.configure(Config({"LOG_FORMAT": log_format, "LOG_LEVEL": "DEBUG"}, {}), written)
    d.channels["x-careless"] = Careless()
    d.subscribe(kind="x-careless", payload="application/fhir+json")
    d.write(observation())
    d.match()
    try:
        d.pump()
    finally:
        logging.getLogger().removeHandler(handler)
    assert "KeyError" in written.getvalue() and "test_canary.py" in written.getvalue()
    assert CANARY not in written.getvalue() and CANARY not in d.resource()["error"]


def test_json_log_is_a_line_an_event():
    written = io.StringIO()
    handler = logs.configure(Config({"LOG_FORMAT": "json"}, {}), written)
    try:
        logging.getLogger("fhirsub.test").warning("two\nlines of %s", "text")
        try:
            raise ValueError("hush")
        except ValueError:
            logging.getLogger("elsewhere").exception("failed")
    finally:
        logging.getLogger().removeHandler(handler)
    first, second = map(json.loads, written.getvalue().splitlines())
    assert first | {"at": ""} == {"at": "", "level": "WARNING", "logger": "fhirsub.test", "message": "two\nlines of text"}
    assert second["error"] == "ValueError" and second["places"][0].startswith("test_canary.py:")
    assert "hush" not in written.getvalue()


def test_text_log_keeps_to_one_line():
    written = io.StringIO()
    handler = logs.configure(Config({}, {}), written)
    try:
        logging.getLogger("fhirsub.test").error("bad id %s", "x\r\n2024 ERROR forged")
    finally:
        logging.getLogger().removeHandler(handler)
    assert written.getvalue().count("\n") == 1 and "\r" not in written.getvalue()
