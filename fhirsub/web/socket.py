"""One websocket: what its client says, what it is told, and when it is closed.

Spec: https://hl7.org/fhir/R4/subscription.html#websocket, https://www.rfc-editor.org/rfc/rfc6455
"""
from __future__ import annotations

import time

from simple_websocket import ConnectionClosed
from wsproto.events import Ping, TextMessage
from wsproto.frame_protocol import CloseReason
from wsproto.utilities import LocalProtocolError

from ..delivery.channels import websocket
from ..delivery.rate import Bucket
from ..delivery.readers import Reader
from .outbox import Outbox

PONG_S = 10.0         # from a ping frame to the last moment for any sign of life
BAD_COMMANDS = 3      # a client that speaks something else does not learn it on this socket
REFUSED_BINDS = 10    # … and one that guesses ids does not go on guessing
MESSAGES_PER_S = 20   # besides one for each bind that it may have, as a client may say all its binds at once
MOST_UNHEARD = 5_000  # messages of a client that says more while it takes nothing itself
CLOSING_S = 2.0       # for the closing handshake
_GONE = (ConnectionClosed, LocalProtocolError, OSError)  # what sending raises when the client was faster


class Close(Exception):
    """The socket is to be closed with this code of RFC 6455 and a reason of at most 123 bytes."""

    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


class Socket:
    """A client's socket and its binds; a :class:`~fhirsub.delivery.readers.Listener`.

    The thread of its request does all the writing, so a slow client holds up nobody else.

    :param ws: ``simple_websocket.Server`` after its handshake, on a :class:`~fhirsub.web.wire.Wire`
    :param tail: the :class:`~fhirsub.delivery.tail.Tail` of this process
    :param may_fail: callable that counts a refused bind and tells whether its address may have another
    """

    def __init__(self, ws, tail, config, may_fail):
        self._ws, self._tail, self._config = ws, tail, config
        ws.max_message_size = config.websocket_message_bytes
        self._wire, self._may_fail = ws.sock, may_fail
        self._wire.closed = ws.event.set
        self._wire.flooded = lambda: len(ws.input_buffer) > MOST_UNHEARD
        self._outbox = Outbox(ws.event.set)
        self._readers = {}  # {subscription id: Reader}
        self._bad_commands = self._refused_binds = 0
        self._leaving = None  # a Close that another thread asked for
        now = time.monotonic()
        self._messages = Bucket(MESSAGES_PER_S, now, MESSAGES_PER_S + config.websocket_binds)
        self._ping_at, self._idle_at = now + config.websocket_ping_s, now + config.websocket_idle_s

    def serve(self):
        """Hear and write until the client leaves or has to."""
        try:
            while self._ws.connected and self._ws.thread.is_alive():
                self._hear()
                self._write()
                self._look_at_clock()
                self._sleep()
        except Close as close:
            self._close(close)
        except _GONE:
            pass
        finally:
            for reader in list(self._readers.values()):
                self._tail.leave(reader)
            self._ws.thread.join(CLOSING_S)
            self._wire.cut()

    def leave(self):
        """Have the socket closed because the server goes away; returns at once."""
        self._leave(Close(CloseReason.GOING_AWAY, "the server goes away; bind again later"))

    # What the tail says, in the tail's thread.

    def bound(self, reader, missed):
        self._outbox.answer(websocket.bound(reader.subscription_id))
        if missed:
            self._outbox.ping(reader, 1, reader.number)

    def refused(self, reader):
        self._readers.pop(reader.subscription_id, None)
        self._outbox.answer(websocket.refusal(reader.subscription_id))
        self._refused_binds += 1
        may_fail = self._may_fail() or self._is_bound()  # other clients of the same proxy use up its allowance too
        if not may_fail or self._refused_binds >= REFUSED_BINDS:
            self._leave(Close(CloseReason.POLICY_VIOLATION, "too many binds refused"))

    def news(self, reader, count):
        self._outbox.ping(reader, count, reader.number)

    def ended(self, reader):
        self._outbox.forget(reader)
        self._readers.pop(reader.subscription_id, None)
        self._outbox.answer(websocket.ended(reader.subscription_id))
        if not self._readers:
            self._leave(Close(CloseReason.POLICY_VIOLATION, "no subscription of this socket is active"))

    # What happens in the thread of the request.

    def _hear(self):
        while self._ws.input_buffer:
            self._count_message()
            message = self._ws.receive()
            if isinstance(message, bytes):
                raise Close(CloseReason.UNSUPPORTED_DATA, "expected text")
            if len(message.encode()) > self._config.websocket_message_bytes:
                raise Close(CloseReason.MESSAGE_TOO_BIG, "message is too big")
            self._obey(message)

    def _count_message(self):
        if self._messages.wait_s(time.monotonic()):
            raise Close(CloseReason.POLICY_VIOLATION, f"more than {MESSAGES_PER_S} messages a second")
        self._messages.take()

    def _obey(self, message):
        subscription_id = websocket.subscription_id(message)
        if subscription_id is None:
            self._bad_commands += 1
            self._outbox.answer(websocket.UNKNOWN_COMMAND)
        elif subscription_id not in self._readers:
            self._bind(subscription_id)
        elif self._readers[subscription_id].number is not None:
            self._outbox.answer(websocket.bound(subscription_id))  # and pinged all along: nothing was missed

    def _bind(self, subscription_id):
        if len(self._readers) < self._config.websocket_binds:
            self._readers[subscription_id] = reader = Reader(subscription_id, self)
            self._tail.join(reader)
        else:
            self._outbox.answer(websocket.crowded(subscription_id, self._config.websocket_binds))

    def _write(self):
        leaving = self._leaving  # before taking: what is said together with it still goes out
        answers, pings = self._outbox.take()
        for answer in answers:
            self._send(TextMessage(answer))
        for reader, (count, number) in pings.items():
            self._send(TextMessage(websocket.ping(reader.subscription_id)), times=count)
            self._tail.pinged(reader, number)
        if leaving:
            raise leaving
        if self._bad_commands >= BAD_COMMANDS:
            raise Close(CloseReason.POLICY_VIOLATION, "unknown commands")

    def _send(self, message, times=1):
        self._wire.send(times * self._ws.ws.send(message))  # uncompressed and unmasked, equal frames are equal bytes

    def _look_at_clock(self):
        now = time.monotonic()
        if now >= self._idle_at and not self._is_bound():
            raise Close(CloseReason.POLICY_VIOLATION, "nothing was bound in time")
        if now >= self._ping_at:
            self._ping_at = now + self._config.websocket_ping_s
            self._send(Ping())  # who does not answer is found dead by the wire

    def _sleep(self):
        wake_at = self._ping_at if self._is_bound() else min(self._ping_at, self._idle_at)
        self._ws.event.wait(max(0.0, wake_at - time.monotonic()))
        self._ws.event.clear()

    def _is_bound(self):
        return any(reader.number is not None for reader in list(self._readers.values()))

    def _leave(self, close):
        self._leaving = close
        self._ws.event.set()

    def _close(self, close):
        try:
            self._ws.close(close.code, close.reason)
        except _GONE:
            pass


def silence_s(config):
    """Seconds after which a peer that is not heard is dead: every ping frame is answered by a living one."""
    return config.websocket_ping_s + PONG_S
