"""The websocket's route, and all sockets open in this process.

Spec: https://hl7.org/fhir/R4/subscription.html#websocket, https://www.rfc-editor.org/rfc/rfc6455#section-10.2
"""
from __future__ import annotations

import random
import re
from types import SimpleNamespace
from urllib.parse import urlsplit

from flask import request
from flask_sock import Sock

from ..delivery.allowance import Allowance
from ..errors import BadRequest, Forbidden, Unavailable
from .socket import REFUSED_BINDS, Socket, silence_s
from .wire import Wire

REFUSED_WITHIN_S = 60.0  # so many binds of one address may be refused as of one socket; then a new socket is closed
COME_BACK_S = (1, 10)    # spread, so that they do not come back all at once

_ORIGIN = re.compile(r"\*|null|[a-z][a-z0-9+.-]*://[a-z0-9.:\[\]-]+")


class Sockets:
    """The sockets open in this process."""

    def __init__(self, tail, config):
        self._tail, self._config, self._open = tail, config, set()
        self._refusals = Allowance(REFUSED_BINDS, REFUSED_WITHIN_S)

    def admit(self):
        """Make sure that there is room for one more.

        :raises Unavailable: there is none; tells when to come back
        """
        if len(self._open) >= self._config.websocket_connections:
            raise Unavailable(f"{len(self._open)} websockets are open, as many as this process serves; try again",
                              code="throttled", headers={"Retry-After": str(random.randint(*COME_BACK_S))})

    def serve(self, ws, address):
        """Serve one until it is closed.

        :param ws: ``simple_websocket.Server``
        :param address: of the client, or of the proxy that it comes through
        """
        socket = Socket(ws, self._tail, self._config, may_fail=lambda: not self._refusals.take(address))
        self._open.add(socket)
        try:
            socket.serve()
        finally:
            self._open.discard(socket)

    def close(self):
        """Tell every client that the server goes away (1001); returns at once, the sockets close by themselves."""
        for socket in list(self._open):
            socket.leave()


def register(blueprint, tail, config):
    """Add the websocket to a blueprint, at ``config.websocket_path``; none if that is empty.

    Works where Flask-Sock does: werkzeug, gunicorn with threads or gevent, and gevent's own server.

    :param tail: :class:`~fhirsub.delivery.tail.Tail`; must run in this process
    :returns: the :class:`Sockets` that were opened through it
    :raises ValueError: WEBSOCKET_ORIGINS cannot be read
    """
    sockets = Sockets(tail, config)
    if not config.websocket_path:
        return sockets

    origins, own_host = _origins(config), urlsplit(config.base_url).netloc.lower() or None

    def serve_websocket(ws):
        sockets.serve(ws, request.remote_addr)

    def prepare():
        if request.endpoint == f"{blueprint.name}.{serve_websocket.__name__}":
            _check(request, origins, own_host)
            sockets.admit()
            _prepare(request.environ, silence_s(config))

    blueprint.before_request(prepare)
    Sock().route("/" + config.websocket_path.strip("/"), bp=blueprint)(serve_websocket)
    return sockets


def _origins(config):
    origins = config.websocket_origins.split()
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError("FHIRSUB_WEBSOCKET_ORIGINS: expected origins such as https://app.example.org, in lower "
                             f"case and without a path, or *; got {origin!r}")
    return frozenset(origins)


def _check(request, origins, own_host):
    if "Sec-Websocket-Key" not in request.headers or request.headers.get("Sec-Websocket-Version") != "13":
        raise BadRequest("a websocket needs Sec-WebSocket-Key and Sec-WebSocket-Version: 13")
    origin = request.headers.get("Origin")
    if origin is None or "*" in origins or origin in origins:  # none: not a web page
        return
    if origin.partition("://")[2].lower() not in (request.host.lower(), own_host):
        raise Forbidden(f"Origin: pages of {origin!r} may not open a websocket here; the setting WEBSOCKET_ORIGINS "
                        "can allow them")


def _prepare(environ, silence_s):
    """Settle what Flask-Sock has options for only per application, before it makes the connection."""
    # Compression is declined: it costs 300 kB a socket for messages of 50 bytes, and a bomb fits into 1 kB.
    environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    for name in ("werkzeug.socket", "gunicorn.socket"):
        if name in environ:
            environ[name] = Wire(environ[name], silence_s)
            return
    body = environ["wsgi.input"]
    try:
        sock = getattr(body, "rfile", body).raw._sock  # gevent.pywsgi
    except AttributeError:
        raise Unavailable("websockets need a server that Flask-Sock supports: gunicorn with threads or gevent, "
                          "gevent.pywsgi, werkzeug") from None
    environ["wsgi.input"] = SimpleNamespace(raw=SimpleNamespace(_sock=Wire(sock, silence_s)))
