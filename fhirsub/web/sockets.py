"""The websocket's route, and all sockets open in this process.

Spec: https://hl7.org/fhir/R4/subscription.html#websocket
"""
from __future__ import annotations

from flask import request
from flask_sock import Sock

from ..errors import BadRequest, Unavailable
from .socket import Socket, silence_s


class Sockets:
    """The sockets open in this process."""

    def __init__(self):
        self._open = set()

    def serve(self, socket):
        """Serve one until it is closed."""
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
    """
    sockets = Sockets()
    if not config.websocket_path:
        return sockets

    def serve_websocket(ws):
        sockets.serve(Socket(ws, tail, config))

    def prepare():
        if request.endpoint == f"{blueprint.name}.{serve_websocket.__name__}":
            _prepare(request, silence_s(config))

    blueprint.before_request(prepare)
    Sock().route("/" + config.websocket_path.strip("/"), bp=blueprint)(serve_websocket)
    return sockets


def _prepare(request, silence_s):
    """Settle what Flask-Sock has options for only per application, before it makes the connection."""
    if "Sec-Websocket-Key" not in request.headers or request.headers.get("Sec-Websocket-Version") != "13":
        raise BadRequest("a websocket needs Sec-WebSocket-Key and Sec-WebSocket-Version: 13")
    # Compression is declined: it costs 300 kB a socket for messages of 50 bytes, and a bomb fits into 1 kB.
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
    # Later would be too late: the thread that Flask-Sock starts may be in recv() already, without a timeout.
    _connection(request.environ).settimeout(silence_s)


def _connection(environ):
    """The socket of a request, where ``simple_websocket.Server`` looks for it."""
    for name in ("werkzeug.socket", "gunicorn.socket"):
        if name in environ:
            return environ[name]
    body = environ["wsgi.input"]
    try:
        return getattr(body, "rfile", body).raw._sock  # gevent.pywsgi
    except AttributeError:
        raise Unavailable("websockets need a server that Flask-Sock supports: gunicorn with threads or gevent, "
                          "gevent.pywsgi, werkzeug") from None
