"""The websocket alone, on the servers it must work on, for tests/test_sockets.py.

    python tests/socket_server.py gevent|gthread DATABASE_URL     prints its port
"""
import os
import sys

if __name__ == "__main__" and sys.argv[1] == "gevent":
    from gevent import monkey
    monkey.patch_all()

import threading
from datetime import datetime, timezone
from socket import SO_SNDBUF, SOL_SOCKET

from flask import Blueprint, Flask, request

from fhirsub.config import Config
from fhirsub.delivery import tail
from fhirsub.errors import FHIRSubError
from fhirsub.store.database import Database
from fhirsub.web import socket, sockets, wire
from event_log import happen

SETTINGS = {"WEBSOCKET_PING_S": 0.3, "WEBSOCKET_IDLE_S": 2.5, "WEBSOCKET_BINDS": 5, "WEBSOCKET_MESSAGE_BYTES": 256,
            "WEBSOCKET_ORIGINS": "https://app.example.org", "SWEEP_S": 0.3}
socket.PONG_S = 1.0
wire.SEND_S = 1.0
tail.GRACE_S = 0.2


def application(database):
    """``/fhir/websocket``; ``POST /happen/ID?count=2`` appends events, ``POST /close`` lets the server go away."""
    config, app, fhir = Config(SETTINGS), Flask("sockets"), Blueprint("fhir", __name__, url_prefix="/fhir")
    following = tail.Tail(database, config, lambda: datetime.now(timezone.utc))
    open_sockets = sockets.register(fhir, following, config)
    fhir.register_error_handler(FHIRSubError, lambda error: (str(error), error.status, error.headers))
    app.register_blueprint(fhir)
    threading.Thread(target=following.run, daemon=True).start()

    @app.post("/happen/<subscription_id>")
    def append(subscription_id):
        with database.write() as tx:
            happen(tx, subscription_id, int(request.args.get("count", 1)))
            database.hints.announce(tx, "event")
        return ""

    @app.post("/close")
    def close():
        open_sockets.close()
        return ""

    @app.get("/open")
    def count():
        return {"sockets": len(open_sockets._open), "threads": threading.active_count(),
                "files": len(os.listdir("/proc/self/fd"))}

    return app


def keep_little(listener):
    """Let connections hold a few kilobytes that nobody reads; by default it takes 50,000 pings to fill one."""
    listener.setsockopt(SOL_SOCKET, SO_SNDBUF, 4096)


def gevent(app):
    from gevent import socket as gevent_socket
    from gevent.pywsgi import WSGIServer
    listener = gevent_socket.socket()
    keep_little(listener)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(listener.getsockname()[1], flush=True)
    WSGIServer(listener, app).serve_forever()


def ready(server):
    keep_little(server.LISTENERS[0].sock)
    print(server.LISTENERS[0].sock.getsockname()[1], flush=True)


def gthread(app):
    from gunicorn.app.base import BaseApplication

    class Gunicorn(BaseApplication):
        def load_config(self):
            settings = {"bind": "127.0.0.1:0", "worker_class": "gthread", "threads": 32, "graceful_timeout": 1,
                        "control_socket_disable": True,
                        "when_ready": ready}
            for name, value in settings.items():
                self.cfg.set(name, value)

        def load(self):
            return app()

    Gunicorn().run()


if __name__ == "__main__":
    kind, url = sys.argv[1:]
    if kind == "gevent":
        gevent(application(Database(url)))
    else:
        gthread(lambda: application(Database(url)))
