"""The REST API on an otherwise empty Flask application, and a client that speaks to it without a socket."""
from __future__ import annotations

from datetime import datetime, timezone

import flask
import pytest

from fhirsub.config import Config
from fhirsub.fhir import json
from fhirsub.web.rest import blueprint
from fhirsub.web.server import Server

BASE = "http://localhost/fhir"
FHIR = "application/fhir+json"


def patient(**more):
    return {"resourceType": "Patient", **more}


def observation(code="8867-4", **more):
    return {"resourceType": "Observation", "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **more}


def identified(value, **more):
    return patient(identifier=[{"system": "urn:mrn", "value": value}], **more)


class Client:
    """Requests below the base; each returns the Flask response, with ``.resource`` decoded."""

    def __init__(self, server):
        app = flask.Flask(__name__)
        app.register_blueprint(blueprint(server))
        self.server, self.app = server, app

    def request(self, method, path, body=None, headers=(), **options):
        headers = {key.replace("_", "-"): value for key, value in dict(headers).items()}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.encode(body)
        if body is not None and "Content-Type" not in headers:
            headers["Content-Type"] = FHIR
        with self.app.test_client() as http:
            response = http.open(f"/fhir/{path}".rstrip("/"), method=method, data=body, headers=headers, **options)
        response.resource = json.decode(response.data) if response.data else None
        return response

    def get(self, path, **headers):
        return self.request("GET", path, headers=headers)

    def post(self, path, body, **headers):
        return self.request("POST", path, body, headers)

    def put(self, path, body, **headers):
        return self.request("PUT", path, body, headers)

    def put_all(self, *resources):
        """Store these by one transaction."""
        entries = [{"request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"},
                    "resource": resource} for resource in resources]
        response = self.post("", {"resourceType": "Bundle", "type": "transaction", "entry": entries})
        assert response.status_code == 200, response.text

    def patch(self, path, operations, **headers):
        return self.request("PATCH", path, operations, {"Content-Type": "application/json-patch+json", **headers})

    def delete(self, path, **headers):
        return self.request("DELETE", path, headers=headers)

    def create(self, resource, **headers):
        """POST it and return what the server stored."""
        response = self.post(resource["resourceType"], resource, **headers)
        assert response.status_code == 201, response.text
        return response.resource

    def count(self, query):
        return self.get(f"{query}{'&' if '?' in query else '?'}_summary=count").resource["total"]


def make_client(database, doors=None, channels=None, **settings):
    config = Config(settings, environ={})
    return Client(Server(database, config, lambda: datetime.now(timezone.utc), doors or {}, channels or {}))


@pytest.fixture
def client(database):
    """A client of a server with the default settings; SQLite and PostgreSQL."""
    return make_client(database)


def assert_refused(response, status, *words, code=None):
    """An OperationOutcome with this status, whose text has all the words."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/fhir+json; charset=utf-8"
    assert response.resource["resourceType"] == "OperationOutcome"
    text = " ".join(issue["diagnostics"] for issue in response.resource["issue"])
    assert all(word in text for word in words), text
    assert all(issue["severity"] in ("error", "fatal") for issue in response.resource["issue"])
    assert code is None or response.resource["issue"][0]["code"] == code
