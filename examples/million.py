"""How little a write feels the Subscriptions: makes more and more of them, and shows what a write costs in between.

    python examples/million.py                                                # 1,000 and 10,000, a server of its own
    python examples/million.py 1000 1000000 --base http://127.0.0.1:8080/fhir # on a running one

All ask distinct questions: 70 % patient and code, 10 % status and patient, 10 % an event and patient, 5 % a code, 5 % a
range.
One more Subscription matches every write: its notification tells how long matching and sending take.
The server has to accept endpoints on this machine, as ``fhirsub serve`` does while it listens on loopback.
"""
import argparse
import statistics
import threading
import time
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests
from connectathon import FHIR, own_server

TOPICS = "http://hl7.org/fhir/subscription/topics"
BUNDLE, WRITES = 1_000, 100
ARRIVED = {"resourceType": "EventDefinition", "id": "arrived", "name": "arrived", "status": "active", "trigger": [{
    "type": "named-event", "name": "arrived", "data": [{"type": "Encounter"}],
    "condition": {"language": "text/fhirpath", "expression": "status = 'arrived'"}}]}


class Endpoint(BaseHTTPRequestHandler):
    """What the one Subscription that matches is delivered to."""

    protocol_version = "HTTP/1.1"
    heard = threading.Semaphore(0)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.heard.release()

    def log_message(self, *arguments):
        pass


class Hospital:
    """Sends what it has to one server, over one connection."""

    def __init__(self, base):
        self.base, self.session = base, requests.Session()
        self.endpoint = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
        threading.Thread(target=self.endpoint.serve_forever, daemon=True).start()
        self.sends("PUT", "EventDefinition/arrived", ARRIVED)
        self.sends("POST", "Subscription", self.subscription("Observation?code=http://acme.org|heard"))

    def sends(self, method, path, resource):
        response = self.session.request(method, f"{self.base}/{path}".rstrip("/"), json=resource,
                                        headers={"Content-Type": FHIR})
        response.raise_for_status()

    def subscription(self, criteria, **more):
        return {"resourceType": "Subscription", "status": "requested", "reason": "to see what it costs",
                "criteria": criteria, **more,
                "channel": {"type": "rest-hook", "endpoint": f"http://127.0.0.1:{self.endpoint.server_port}/"}}

    def asks(self, number):
        """The Subscription with this number."""
        kind, patient = number % 20, f"p{number}"
        if kind < 14:
            return self.subscription(f"Observation?patient={patient}&code=http://loinc.org|{number % 200}")
        if kind < 16:
            return self.subscription(f"Encounter?patient={patient}&status=arrived")
        if kind < 18:
            event = {"url": TOPICS, "valueReference": {"reference": "EventDefinition/arrived"}}
            return self.subscription(f"Patient/{patient}", extension=[event])
        if kind == 18:
            return self.subscription(f"Observation?code=http://acme.org|{number}")
        return self.subscription(f"Observation?value-quantity=ge{number}&value-quantity=lt{number + 20}")

    def subscribes(self, numbers):
        """Creates these Subscriptions by one transaction Bundle."""
        entries = [{"request": {"method": "POST", "url": "Subscription"}, "resource": self.asks(number)}
                   for number in numbers]
        self.sends("POST", "", {"resourceType": "Bundle", "type": "transaction", "entry": entries})

    def writes(self):
        """Milliseconds until a write is answered, and until its notification has arrived."""
        began = time.perf_counter()
        self.sends("POST", "Observation", {
            "resourceType": "Observation", "status": "final", "subject": {"reference": "Patient/somebody"},
            "code": {"coding": [{"system": "http://acme.org", "code": "heard"}]}, "valueQuantity": {"value": -1}})
        answered = time.perf_counter()
        assert Endpoint.heard.acquire(timeout=60), "no notification within a minute"
        return (answered - began) * 1e3, (time.perf_counter() - began) * 1e3


def show(base, sizes):
    hospital, made = Hospital(base), 0
    for size in sizes:
        began = time.perf_counter()
        for start in range(made, size, BUNDLE):
            hospital.subscribes(range(start, min(start + BUNDLE, size)))
        rate = (size - made) / (time.perf_counter() - began)
        made = size
        hospital.writes()   # when it is heard, every Subscription before it is switched on
        answered, heard = (statistics.median(times) for times in zip(*(hospital.writes() for _ in range(WRITES))))
        print(f"{size:>9,} Subscriptions, created at {rate:,.0f} a second: a write is answered in {answered:.1f} ms "
              f"and notified in {heard:.1f} ms", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sizes", type=int, nargs="*", default=[1_000, 10_000], help="how many Subscriptions, growing")
    parser.add_argument("--base", help="FHIR base of a running server (default: start one)")
    given = parser.parse_args()
    with nullcontext(given.base.rstrip("/")) if given.base else own_server() as base:
        show(base, sorted(given.sizes))


if __name__ == "__main__":
    main()
