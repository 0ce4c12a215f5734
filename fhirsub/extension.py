"""``FHIRSub(app)``: puts the parts together; the only place that does."""
from __future__ import annotations

import threading
from datetime import datetime, timezone

from flask import Flask, current_app

from . import __version__, raising, recording
from .config import Config
from .delivery.channels.email import Email
from .delivery.channels.message import Message
from .delivery.channels.rest_hook import RestHook
from .delivery.channels.websocket import WebSocket
from .delivery.dispatcher import Dispatcher
from .delivery.egress import Egress
from .delivery.retention import Retention
from .delivery.tail import Tail
from .fhir.extension_definitions import DEFINITIONS
from .store.database import Database
from .store.migrate import upgrade
from .store.shipped import ship
from .subscriptions.door import SubscriptionDoor
from .subscriptions.event_door import EventDefinitionDoor
from .subscriptions.extension_door import ExtensionDoor
from .subscriptions.matcher import Matcher
from .subscriptions.secrets import Vault, load_key
from .web import monitoring, rest, sockets
from .web.server import Server

NAME = "fhirsub"


class FHIRSub:
    """The extension: a FHIR base, websockets and the notification pipeline in a Flask application.

    Settings come from the keyword arguments, else from ``app.config["FHIRSUB_…"]``, else from the environment.

    :param app: the application, or None to call :meth:`init_app` later
    :param settings: see SETTINGS in ``fhirsub/config.py``, e.g. ``DATABASE="postgresql://…"``
    """

    def __init__(self, app=None, **settings):
        self._settings = settings
        if app is not None:
            self.init_app(app)

    def init_app(self, app):
        """Mount the FHIR base and remember the extension in ``app.extensions["fhirsub"]``.

        The matcher and the dispatcher start with the first request, in the process that serves it: a server that
        forks after loading the application starts none too many. :meth:`start` starts them sooner.

        :raises ValueError: a setting is wrong; the text names it
        :raises RuntimeError: the application has one already
        """
        if NAME in app.extensions:
            raise RuntimeError("this application has a FHIRSub already; use app.extensions['fhirsub']")
        self.config = Config.of_flask(app.config, given=self._settings)
        self.database = Database(self.config.database, self.config.connections)
        vault = Vault(load_key(self.config))
        self.egress = Egress(self.config)
        self.channels = {"rest-hook": RestHook(self.egress, self.config, utcnow)}
        if self.config.websocket_path:
            self.channels["websocket"] = WebSocket()
        if self.config.smtp_host:
            self.channels["email"] = Email(self.config, utcnow)
        self.channels["message"] = Message(self.egress, self.config, utcnow)
        self.matcher = Matcher(self.database, self.config, now=utcnow)
        self.dispatcher = Dispatcher(self.database, self.config, now=utcnow, channels=self.channels, vault=vault)
        self.retention = Retention(self.database, self.config, now=utcnow)
        self.tail = Tail(self.database, self.config, utcnow)
        self._app, self._started, self._starting = app, False, threading.Lock()
        self._running, self._threads = [], []
        self._mount(app, {"Subscription": SubscriptionDoor(self.channels, vault),
                          "EventDefinition": EventDefinitionDoor(), "StructureDefinition": ExtensionDoor()})
        app.extensions[NAME] = self

    def channel(self, kind):
        """Decorator that makes a class, or any callable that gives an object with ``send(notification)``, a channel.

        Call it before the first request::

            @subscriptions.channel("x-log")
            class Log:
                def send(self, notification):
                    print(notification.id)

        :param kind: the ``Subscription.channel.type`` that it delivers; also R4's own codes, such as ``sms``
        """
        def add(make):
            self.channels[kind] = make()
            return make
        return add

    def _mount(self, app, doors):
        self.server = Server(database=self.database, config=self.config, now=utcnow, doors=doors,
                             channels=self.channels, software_version=__version__)
        blueprint = rest.blueprint(self.server)
        self.sockets = sockets.register(blueprint, self.tail, self.config)
        app.register_blueprint(blueprint)
        app.register_blueprint(monitoring.blueprint(self.server, self.dispatcher.outcomes))
        app.before_request(self.start)

    def migrate(self):
        """Bring the database to the tables of this version, and store the definitions that come with it."""
        upgrade(self.database)
        ship(self.database, DEFINITIONS, now=utcnow())

    def start(self):
        """Start the threads of this process, once; without the setting WORKERS only what its websockets need."""
        if self._started:
            return
        with self._starting:
            if self._started:
                return
            self._started = True
            monitoring.warn(self._app, self.config)
            loops = [self.tail] if self.config.websocket_path else []
            if self.config.workers:
                loops += [self.matcher, self.dispatcher, self.retention]
            self._running = loops
            names = [f"{NAME}-{type(loop).__name__.lower()}" for loop in loops]
            self._threads = [threading.Thread(target=loop.run, name=name, daemon=True)
                             for loop, name in zip(loops, names)]
            for thread in self._threads:
                thread.start()

    def wind_down(self):
        """Begin nothing new: no batch, no notification; sockets are told to come back. Requests are still served."""
        self.sockets.close()
        for loop in self._running:
            loop.stop()

    def stop(self, timeout_s=15.0):
        """Finish what is under way, release the rest to other processes, and close the database's connections."""
        self.wind_down()
        for thread in self._threads:
            thread.join(timeout_s)
        self._threads, self._running, self._started = [], [], False
        self.egress.close()
        self.database.dispose()

    def record(self, change, *, connection):
        """Record that a resource of the application's own store was written, inside the application's transaction.

        The transaction's commit lets the change be matched and notified; its rollback leaves nothing behind.

        :param change: :class:`~fhirsub.store.changes.Change` with ``resource``: the version as just written, also as an
            object of fhir.resources; a ``delete`` has none
        :param connection: SQLAlchemy Connection (of a Session: ``session.connection()``) to the database of FHIRSub
        :returns: the number of the change
        :raises Unprocessable: the resource is not what the change says, or a type whose writes go through REST
        """
        return recording.record(self.database, change, connection=connection, now=utcnow())

    def raise_event(self, event, *, focus, context=(), connection=None):
        """Say that an event happened which no write shows: a named event whose trigger has no condition.

        :param event: the EventDefinition's name, canonical URL or ``EventDefinition/ID``; it must be active
        :param focus: whom it is about: ``"Encounter/1"`` of this server, or a resource of the application's own store,
            also as an object of fhir.resources
        :param context: further references that belong to it, ``["Patient/1"]``
        :param connection: SQLAlchemy Connection of the application's transaction, as for :meth:`record`; None: the
            event is recorded at once
        :returns: the number of the change
        :raises Unprocessable: no such event, one that fires by itself, or a focus that is not here
        """
        return raising.raise_event(self.database, event, focus=focus, context=context, connection=connection,
                                   base_url=self.config.base_url, now=utcnow())


def create_app(**settings):
    """An empty Flask application with a FHIRSub: what ``fhirsub serve`` serves.

    :param settings: see SETTINGS, e.g. ``DATABASE="sqlite:////var/lib/fhirsub.db"``
    """
    app = Flask(NAME)
    FHIRSub(app, **settings)
    return app


def record(change, *, connection):
    """:meth:`FHIRSub.record` of the current application."""
    return current_app.extensions[NAME].record(change, connection=connection)


def raise_event(event, *, focus, context=(), connection=None):
    """:meth:`FHIRSub.raise_event` of the current application."""
    return current_app.extensions[NAME].raise_event(event, focus=focus, context=context, connection=connection)


def utcnow():
    return datetime.now(timezone.utc)
