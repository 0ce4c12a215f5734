"""Messages between the :mod:`.sandbox` and its child: four bytes of length, then JSON with all the digits."""
from __future__ import annotations

import socket
import struct
from decimal import Decimal
from typing import Any

import msgspec

_LENGTH = struct.Struct(">I")
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


def encode(message: Any) -> bytes:
    return _encoder.encode(message)


def send(to: socket.socket, message: Any) -> None:
    """:raises OSError: the other end is gone, or does not read in time"""
    data = encode(message)
    to.sendall(_LENGTH.pack(len(data)) + data)


def receive(of: socket.socket) -> Any:
    """The next message; None if the other end has closed.

    :raises OSError: nothing came in time
    """
    header = _exactly(of, _LENGTH.size)
    data = _exactly(of, *_LENGTH.unpack(header)) if header else None
    return _decoder.decode(data) if data else None


def _exactly(of: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        chunk = of.recv(size - len(received))
        if not chunk:
            return None
        received += chunk
    return bytes(received)
