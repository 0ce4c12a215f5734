"""The TCP connection under a websocket: whole frames, one at a time, within a deadline.

simple_websocket sends from two threads without a lock, takes a partial send for a whole one, and waits for ever.
"""
from __future__ import annotations

import os
import select
import socket
import ssl
import threading
import time

SEND_S = 5.0    # a client that takes nothing for so long is cut off
LINGER_S = 1.0  # what a client still sends is read for so long: closing over it would destroy our last frame


class Wire:
    """Stands in for the socket of a ``simple_websocket.Server``.

    :param sock: connected socket
    :param silence_s: a peer that is not heard for so long is dead
    :ivar closed: called once when nothing more can be received
    :ivar flooded: called before more is received; True ends the connection
    """

    def __init__(self, sock, silence_s):
        self._sock, self.closed, self.flooded = sock, lambda: None, lambda: False
        self._lock = threading.Lock()
        sock.settimeout(silence_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def dup(self):
        """Not needed, and 10,000 sockets would take 20,000 files; simple_websocket then does without."""
        raise NotImplementedError

    def fileno(self):
        return self._sock.fileno()

    def recv(self, size):
        """As of a socket; raises TimeoutError when the peer is dead."""
        return b"" if self.flooded() else self._sock.recv(size)

    def send(self, data):
        """Send all of ``data``; afterwards it was sent, or the connection is gone.

        :raises OSError: it is gone; TimeoutError if the peer took too long
        """
        with self._lock:
            try:
                self._send(data)
            except OSError:
                self.cut()  # half a frame may be on its way: nothing can follow it
                raise

    def cut(self):
        """End the connection at once, in both directions; wakes whoever waits in :meth:`recv`."""
        self._shut(socket.SHUT_RDWR)

    def close(self):
        """Say that no more will come, read what the peer still sends, and let go."""
        self._shut(socket.SHUT_WR)
        until = time.monotonic() + LINGER_S
        try:
            while (left := until - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if not self._sock.recv(65536):
                    break
        except OSError:
            pass
        self.cut()
        with self._lock:  # a sender must not find another connection under the same file number
            self._sock.close()
        self.closed()

    def _send(self, data):
        """Past the socket object, whose one timeout is that of :meth:`recv`; the file itself never blocks."""
        if isinstance(self._sock, ssl.SSLSocket):  # TLS inside the process
            self._sock.sendall(data)
            return
        until = time.monotonic() + SEND_S
        while data:
            try:
                data = data[os.write(self._sock.fileno(), data):]
            except BlockingIOError:
                self._wait_until_writable(until)

    def _wait_until_writable(self, until):
        poll = select.poll()
        poll.register(self._sock.fileno(), select.POLLOUT)
        if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError("the peer takes nothing")

    def _shut(self, how):
        try:
            self._sock.shutdown(how)
        except OSError:
            pass  # the peer was faster
