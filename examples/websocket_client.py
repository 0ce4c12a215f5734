"""A client that is told over a websocket when something happens, and reads it.

    python examples/websocket_client.py 'Observation?code=http://loinc.org|72166-2'
    python examples/websocket_client.py --base http://127.0.0.1:8080/fhir 'Patient?name=simpson'

It creates the Subscription, binds to it and prints every ping with the newest match. When the connection is lost it
comes back, more and more slowly, and is pinged once if something happened meanwhile. Ctrl-C deletes the Subscription.

Spec: https://hl7.org/fhir/R4/subscription.html#websocket
"""
import argparse
import random
import signal
import sys
import time

import requests
import websocket

FHIR = "application/fhir+json"
WEBSOCKET = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"
LONGEST_PAUSE_S = 30
SILENCE_S = 60  # the server sends a ping frame every 25 s; after this the connection is dead, whatever TCP believes


class Refused(Exception):
    """The server will never bind this Subscription: it is off, deleted, or of another channel."""


class Client:
    """One Subscription and the websocket it is bound on."""

    def __init__(self, base, criteria):
        self.base, self.criteria, self.http = base, criteria, requests.Session()
        self.http.headers.update({"Accept": FHIR, "Content-Type": FHIR})

    def subscribe(self):
        """Create the Subscription and find out where to bind it."""
        subscription = {"resourceType": "Subscription", "status": "requested", "reason": "to look at it at once",
                        "criteria": self.criteria, "channel": {"type": "websocket"}}
        self.id = self._answer(self.http.post(f"{self.base}/Subscription", json=subscription))["id"]
        rest = self._answer(self.http.get(f"{self.base}/metadata"))["rest"][0]
        self.url = next(one["valueUri"] for one in rest["extension"] if one["url"] == WEBSOCKET)

    def unsubscribe(self):
        self.http.delete(f"{self.base}/Subscription/{self.id}")

    def listen(self):
        """Bind, and yield once for each ping; bind again whenever the connection is lost."""
        attempt = 0
        while True:
            try:
                for _ in self._bound():
                    attempt = 0
                    yield
            except (websocket.WebSocketException, OSError) as error:
                # The whole pause is random, so that a thousand clients of a restarted server do not come back at once.
                pause_s = random.uniform(0, min(LONGEST_PAUSE_S, 2 ** attempt))
                say(f"lost the connection ({error}); again in {pause_s:.1f} s")
                time.sleep(pause_s)
                attempt += 1

    def newest(self):
        """What a ping is about: it carries nothing itself."""
        path, _, query = self.criteria.partition("?")
        found = self._answer(self.http.get(f"{self.base}/{path}?{query}&_sort=-_lastUpdated&_count=1"))
        return found["entry"][0]["resource"] if found.get("entry") else None

    def _bound(self):
        connection = websocket.create_connection(self.url, timeout=SILENCE_S)
        try:
            connection.send(f"bind {self.id}")
            while message := connection.recv():
                word, _, rest = message.partition(" ")
                if word == "error":
                    raise Refused(rest)
                say(message)
                if word == "ping":
                    yield
        finally:
            connection.close()
        raise OSError("closed by the server")

    def _answer(self, response):
        if not response.ok:
            raise SystemExit(f"{response.status_code}: {response.json()['issue'][0]['diagnostics']}")
        return response.json()


def say(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("criteria", help="a FHIR search, e.g. 'Observation?code=http://loinc.org|72166-2'")
    parser.add_argument("--base", default="http://127.0.0.1:8080/fhir", help="the FHIR server (default %(default)s)")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    client = Client(options.base.rstrip("/"), options.criteria)
    client.subscribe()
    say(f"Subscription/{client.id} asks {client.criteria}")
    try:
        for _ in client.listen():
            newest = client.newest()
            say(f"newest: {newest['resourceType']}/{newest['id']} version {newest['meta']['versionId']}" if newest else
                "nothing matches now")
    except Refused as refused:
        sys.exit(f"the server says: {refused}")
    except KeyboardInterrupt:
        client.unsubscribe()


if __name__ == "__main__":
    main()
