"""gevent's WSGI server, made to stop without waiting for connections that nobody uses.

Clients and proxies keep connections open for their next request; each of them would hold up a stop for DRAIN_S.

Spec: https://www.rfc-editor.org/rfc/rfc9112#name-tear-down
"""
from __future__ import annotations

import socket

from gevent.pywsgi import WSGIHandler, WSGIServer


class _Handler(WSGIHandler):
    """A connection; it is idle while it waits for the first line of a request."""

    def read_requestline(self):
        if self.server.closed:
            return ""
        self.server.idle.add(self.socket)
        try:
            return super().read_requestline()
        finally:
            self.server.idle.discard(self.socket)


class DrainingServer(WSGIServer):
    """Ends idle connections when it closes; the others end with the answer that is under way."""

    handler_class = _Handler

    def __init__(self, *arguments, **more):
        super().__init__(*arguments, **more)
        self.idle = set()

    def close(self):
        """Accept nothing more."""
        super().close()
        for connection in list(self.idle):
            try:
                connection.shutdown(socket.SHUT_RD)  # a request that has arrived is read and answered nevertheless
            except OSError:  # its client has gone
                pass
