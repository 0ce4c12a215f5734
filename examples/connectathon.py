"""The seven scenarios of the May 2019 connectathon's Subscription track, with what each party sees.

    python examples/connectathon.py                                      # starts a server of its own
    python examples/connectathon.py --base http://127.0.0.1:8080/fhir    # plays against a running one

The server has to accept endpoints on this machine, as ``fhirsub serve`` does while it listens on loopback.
Exits 1 if a scenario did not go as the track says.
"""
import argparse
import json
import queue
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import requests
from simple_websocket import Client

FHIR = "application/fhir+json"
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
LOINC = "http://loinc.org"
WAIT_S = 30    # for a notification that has to come
SILENCE_S = 1  # for one that must not


class Party:
    """Somebody at the table, whose lines are printed under its name."""

    def __init__(self, name):
        self.name = name

    def says(self, text):
        print(f"  {self.name:<10} {text}", flush=True)


class App(Party):
    """A subscribing client: an endpoint, an inbox, and the FHIR server it talks to."""

    def __init__(self, base):
        super().__init__("app")
        self.base, self.inbox, self.http = base, queue.Queue(), requests.Session()
        self.http.headers.update({"Accept": FHIR, "Content-Type": FHIR})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._endpoint())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}/notify"

    def _endpoint(app):
        class Endpoint(BaseHTTPRequestHandler):
            def do_POST(self):
                app.inbox.put((self.headers, self.rfile.read(int(self.headers.get("Content-Length", 0)))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass
        return Endpoint

    def sends(self, method, path, resource=None):
        """One request; prints it and its answer, returns the resource."""
        answer = self.http.request(method, f"{self.base}/{path}", data=json.dumps(resource) if resource else None)
        self.says(f"{method} {path} → {answer.status_code}")
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def subscribes(self, criteria, **channel):
        made = self.sends("POST", "Subscription", {
            "resourceType": "Subscription", "status": "requested", "reason": "connectathon", "criteria": criteria,
            "channel": channel})
        self.says(f"Subscription/{made['id']} is {made['status']}: {criteria}")
        return made

    def writes(self, resource):
        return self.sends("POST", resource["resourceType"], resource)

    def hears(self):
        """The next notification as ``(headers, body)``; fails if none comes."""
        headers, body = self.inbox.get(timeout=WAIT_S)
        self.says(f"← POST {headers['webhook-id']}, {len(body)} bytes" + (f", {body[:60].decode()}…" if body else ""))
        return headers, body

    def hears_nothing(self):
        try:
            raise AssertionError(f"an unexpected notification: {self.inbox.get(timeout=SILENCE_S)}")
        except queue.Empty:
            self.says("← nothing, as it should be")

    def socket(self):
        """A websocket to the URL that the CapabilityStatement tells."""
        rest = self.sends("GET", "metadata")["rest"][0]
        url = next(extension["valueUri"] for extension in rest["extension"] if extension["url"] == WEBSOCKET)
        self.says(f"connects to {url}")
        return Client.connect(url)

    def binds(self, socket, subscription):
        socket.send(f"bind {subscription['id']}")
        self.sees(socket, f"bound {subscription['id']}")

    def sees(self, socket, *expected):
        """The next frames, which may come in any order."""
        frames = [socket.receive(timeout=WAIT_S) for _ in expected]
        for frame in frames:
            self.says(f"← {frame}")
        assert sorted(map(str, frames)) == sorted(expected), f"expected {expected}"


def observation(code, **more):
    return {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": LOINC, "code": code}]}, **more}


def create_a_subscription(app):
    """1. A client creates a Subscription, finds it active, and reads it back without its secret."""
    made = app.subscribes(f"Observation?code={LOINC}|1975-2", type="rest-hook", endpoint=app.endpoint,
                          header=["Authorization: Bearer secret-token-abc-123"])
    read = app.sends("GET", f"Subscription/{made['id']}")
    assert read["status"] == "active" and read["channel"]["header"] == ["Authorization: ***"]


def rest_hook_notifies(app):
    """2. A matching resource is written: the server POSTs to the endpoint, with the secret header and no content."""
    app.writes(observation("1975-2"))
    headers, body = app.hears()
    assert headers["Authorization"] == "Bearer secret-token-abc-123" and body == b""
    app.writes(observation("718-7"))
    app.hears_nothing()


def payload_is_sent(app):
    """3. A Subscription with a payload brings each version of the resource, in order."""
    app.subscribes("Observation?patient=Patient/connectathon&status=final", type="rest-hook", endpoint=app.endpoint,
                   payload=FHIR)
    written = app.writes(observation("8867-4", subject={"reference": "Patient/connectathon"}, valueInteger=61))
    app.sends("PUT", f"Observation/{written['id']}", written | {"valueInteger": 74})
    assert [json.loads(app.hears()[1])["valueInteger"] for _ in range(2)] == [61, 74]


def off_is_respected(app):
    """4. The client no longer needs a Subscription and sets it off: the server falls silent; then asks again."""
    made = app.subscribes(f"Observation?code={LOINC}|29463-7", type="rest-hook", endpoint=app.endpoint)
    app.sends("PUT", f"Subscription/{made['id']}", made | {"status": "off"})
    app.writes(observation("29463-7"))
    app.hears_nothing()
    app.sends("PUT", f"Subscription/{made['id']}", made | {"status": "requested"})
    app.writes(observation("29463-7"))
    app.hears()


def websocket_pings(app):
    """5. A browser app binds its Subscriptions on one websocket and is pinged."""
    made = [app.subscribes(f"Observation?code={LOINC}|{code}", type="websocket")
            for code in ("8310-5", "8310-5,2708-6")]
    socket = app.socket()
    for subscription in made:
        app.binds(socket, subscription)
    app.writes(observation("8310-5"))
    app.sees(socket, *(f"ping {subscription['id']}" for subscription in made))
    socket.close()


def missed_events_are_told(app):
    """6. The websocket was away while something happened: the bind is followed by a ping."""
    made = app.subscribes(f"Observation?code={LOINC}|9279-1", type="websocket")
    app.writes(observation("9279-1"))
    socket = app.socket()
    socket.send(f"bind {made['id']}")
    app.sees(socket, f"bound {made['id']}", f"ping {made['id']}")
    socket.close()


def criteria_of_the_day(app):
    """7. The criteria that participants brought: a code, and a List that one party keeps under an id of its own."""
    app.subscribes(f"Observation?code={LOINC}|72166-2", type="rest-hook", endpoint=app.endpoint)
    app.writes(observation("72166-2"))
    app.hears()
    app.subscribes("List?_id=medications-of-anna", type="rest-hook", endpoint=app.endpoint)
    app.sends("PUT", "List/medications-of-anna", {"resourceType": "List", "id": "medications-of-anna",
                                                  "status": "current", "mode": "working"})
    app.hears()


SCENARIOS = (create_a_subscription, rest_hook_notifies, payload_is_sent, off_is_respected, websocket_pings,
             missed_events_are_told, criteria_of_the_day)


@contextmanager
def own_server():
    """A server on a free port with an empty database; yields its base URL."""
    fhirsub = Path(sys.executable).with_name("fhirsub")
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen([fhirsub, "serve", "--port", "0", "--database", f"sqlite:///{folder}/fhirsub.db"],
                                   stdout=subprocess.PIPE, text=True, cwd=folder)
        try:
            line = process.stdout.readline()
            print(line.strip())
            yield line.split()[2].rstrip(",")
        finally:
            process.terminate()
            process.wait()


def play(base, scenarios, party):
    """Play every scenario; returns how many went as they should."""
    app, succeeded = party(base), 0
    for scenario in scenarios:
        print(f"\n{scenario.__doc__}")
        try:
            scenario(app)
            succeeded += 1
        except (AssertionError, queue.Empty, requests.RequestException, StopIteration) as error:
            app.says(f"FAILED: {error!r}")
    print(f"\n{succeeded} of {len(scenarios)} scenarios went as they should")
    return succeeded


def main(scenarios, description, party=App):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--base", help="FHIR base of a running server (default: start one)")
    base = parser.parse_args().base
    if base:
        succeeded = play(base.rstrip("/"), scenarios, party)
    else:
        with own_server() as base:
            succeeded = play(base, scenarios, party)
    sys.exit(0 if succeeded == len(scenarios) else 1)


if __name__ == "__main__":
    main(SCENARIOS, __doc__.splitlines()[0])
