"""What tests of delivery share: a pipeline with a receiver, and dispatchers whose steps a test takes itself."""
from __future__ import annotations

import threading
import time
from datetime import datetime, timezone

import pytest
from cryptography.fernet import Fernet
from pipeline import Pipeline, observation
from receiver import Receiver
from sqlalchemy import select

from fhirsub.delivery.channels.rest_hook import RestHook
from fhirsub.delivery.dispatcher import Dispatcher
from fhirsub.delivery.egress import Egress
from fhirsub.store import versions
from fhirsub.store.tables import cursor
from fhirsub.subscriptions.kept_secrets import KeptSecrets
from fhirsub.subscriptions.secrets import Vault

FHIR = "application/fhir+json"


class Delivery(Pipeline):
    """A pipeline with a receiver and any number of dispatchers whose steps a test takes itself."""

    def __init__(self, database, receiver, **settings):
        super().__init__(database, **{"RETRY_SCHEDULE_S": "5 300 1800", "RETRY_FLOOR_S": 60.0, "SWEEP_S": 0.05} | settings)
        self.receiver, self.egress, self.vault = receiver, Egress(self.config), Vault(Fernet.generate_key())
        self.channels = {"rest-hook": RestHook(self.egress, self.config, self.clock)}
        self.dispatcher = self.another()

    def another(self, now=None):
        return Dispatcher(self.database, self.config, now=now or self.clock, channels=self.channels, vault=self.vault)

    def subscribe(self, criteria="Observation", *, id="sub", path="/a", header=None, payload=None, kind="rest-hook", **more):
        channel = {"type": kind, "endpoint": self.receiver.url(path)}
        channel |= {"payload": payload} if payload else {}
        if header:
            with self.database.write() as tx:
                secrets = KeptSecrets(tx, [id])
                channel["header"] = self.vault.hide(secrets.of(id), header)
                secrets.save()
        written = super().subscribe(criteria, id=id, **{"channel": channel} | more)
        self.match()
        return written

    def happen(self, count=1, **more):
        """Write Observations and match them."""
        written = [self.write(observation(**more)) for _ in range(count)]
        self.match()
        return written

    def pump(self, dispatcher=None):
        """Take steps until nothing is under way and nothing more is due."""
        dispatcher, deadline = dispatcher or self.dispatcher, time.monotonic() + 20
        dispatcher.hint()
        while (dispatcher.step() == 0 or dispatcher.in_flight) and time.monotonic() < deadline:
            dispatcher._wake.wait(0.01)
            dispatcher._wake.clear()
        assert not dispatcher.in_flight

    def resource(self, id="sub"):
        with self.database.read() as tx:
            return versions.current(tx, "Subscription", id).resource

    def rewrite(self, id="sub", **changes):
        """The client writes its Subscription anew."""
        return self.write({**self.resource(id), **changes})

    def numbers(self, path="/a"):
        return [int(arrival.headers["x-fhir-event-number"]) for arrival in self.receiver.at(path)]

    def accepted(self):
        with self.database.read() as tx:
            return tx.execute(select(cursor.c.accepted).order_by(cursor.c.key)).scalars().all()


def real_time():
    return datetime.now(timezone.utc)


class Running:
    """A dispatcher in its own thread."""

    def __init__(self, dispatcher):
        self.dispatcher = dispatcher
        self.thread = threading.Thread(target=dispatcher.run, daemon=True)
        self.thread.start()

    def stop(self):
        self.dispatcher.stop()
        self.thread.join(15)
        assert not self.thread.is_alive()


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def delivery(database, receiver):
    """Makes a Delivery with settings."""
    made = []

    def make(**settings):
        made.append(Delivery(database, receiver, **settings))
        return made[-1]
    yield make
    for each in made:
        each.egress.close()
        each.dispatcher.sender.close()
