"""A real ``fhirsub serve`` in a process of its own, to be used, killed and started again."""
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

FHIRSUB = Path(sys.executable).with_name("fhirsub")
FHIR = "application/fhir+json"


class Live:
    """One server process on a port that stays the same over restarts.

    :param database: URL
    :param settings: ``{"RETRY_SCHEDULE_S": "0.2 0.5", …}``
    :ivar log: open file that takes what it writes to stderr; None: the test's own stderr
    :ivar program: what is run
    """

    log, program = None, (FHIRSUB,)

    def __init__(self, database, folder, **settings):
        self.port = free_port()
        self.folder, self.database = folder, database
        self.environ = os.environ | {f"FHIRSUB_{name}": str(value) for name, value in settings.items()}
        self.base = f"http://127.0.0.1:{self.port}/fhir"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/fhir/websocket"
        self.process = None

    def start(self, command="serve"):
        """Start it and wait for its start line, which is kept as ``line``."""
        more = ["--port", str(self.port)] if command == "serve" else []
        self.process = subprocess.Popen([*self.program, command, "--database", self.database, *more],
                                        cwd=self.folder, env=self.environ, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True, start_new_session=True)
        self.line = self.process.stdout.readline()
        assert self.line, f"fhirsub {command} did not start: exit {self.process.wait()}"
        return self

    def kill(self):
        """kill -9 of the whole process group."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()

    def stop(self):
        """SIGTERM; returns the exit status."""
        self.process.terminate()
        status = self.process.wait(30)
        self.process.stdout.close()
        return status

    def __enter__(self):
        try:
            return self.start()
        except BaseException:  # told to stop while it starts
            self.__exit__()
            raise

    def __exit__(self, *error):
        if self.process and self.process.poll() is None:
            self.kill()


class Client:
    """One kept-open connection; a thread each."""

    def __init__(self, live):
        self.connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=30)

    def request(self, method, path, resource=None, **headers):
        """``(status, decoded body or None)`` of a request to ``path`` below the base."""
        body = json.dumps(resource).encode() if resource is not None else None
        self.connection.request(method, f"/fhir/{path}", body, {"Content-Type": FHIR} | headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def create(self, resource):
        status, made = self.request("POST", resource["resourceType"], resource)
        assert status == 201, (status, made)
        return made


def free_port():
    """One below those that the system gives to clients: nobody takes it while the server is down."""
    while True:
        with socket.socket() as probe:
            try:
                port = random.randrange(20_000, 32_000)
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass  # somebody else's


def observation(code="718-7", **more):
    return {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **more}


def subscription(criteria, **channel):
    return {"resourceType": "Subscription", "status": "requested", "reason": "test", "criteria": criteria,
            "channel": channel}
