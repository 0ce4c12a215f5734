"""JSON in and out: numbers keep their digits (1.00 stays 1.00).

Spec: https://hl7.org/fhir/R4/json.html
"""
from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import BadRequest

# Deeper than any real resource (Questionnaire items nest most), and far from Python's own recursion limit.
MAX_DEPTH = 100
# The range of a decimal128. Beyond it lie exponents whose plain notation would fill the memory: 1E999999999.
_MAX_EXPONENT = 6144


def decode(data: bytes | str) -> Any:
    """Read JSON; whole numbers become int, all others Decimal.

    :raises BadRequest: not JSON (names the byte), not UTF-8, nested over 100 levels, or a number out of range
    """
    try:
        value = _decoder.decode(data)
    except UnicodeDecodeError as error:
        raise BadRequest("the body is not UTF-8", code="structure") from error
    except msgspec.DecodeError as error:
        raise BadRequest(f"the body is not JSON: {_plain(error)}") from error
    except RecursionError as error:
        raise _too_deep() from error
    # Each level opens a bracket, so few brackets need no look at the levels.
    brackets = data.count("{") + data.count("[") if isinstance(data, str) else data.count(b"{") + data.count(b"[")
    if brackets > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise _too_deep()
    return value


def decode_strictly(data: bytes) -> Any:
    """Read JSON that a client sent: of a member that is there twice, readers differ in which one they take.

    :raises BadRequest: as :func:`decode`, or a member of an object is repeated
    """
    value = decode(data)
    # What is written again has the quotes of all that was kept, and one for each that was sent as \u0022.
    if encode(value).count(b'"') < data.count(b'"') + data.count(b"\\u0022"):
        json.loads(data, object_pairs_hook=_unique)
    return value


def encode(value: Any) -> bytes:
    """Write JSON as UTF-8 without blanks; Decimal becomes a number with all its digits."""
    return _encoder.encode(value)


def _number(text: str) -> Decimal:
    number = Decimal(text)
    if abs(number.adjusted()) > _MAX_EXPONENT:
        raise BadRequest(f"the number {text[:40]} is out of range: expected an exponent of at most {_MAX_EXPONENT}")
    return number


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadRequest(f"an object has the member {twice[:64]!r} twice; expected each name once")
    return found


def _depth(value: Any) -> int:
    depth, level = 0, [value]
    while level := [one for one in level if isinstance(one, (dict, list))]:
        depth += 1
        level = [child for one in level for child in (one.values() if isinstance(one, dict) else one)]
    return depth


def _plain(error: msgspec.DecodeError) -> str:
    text = str(error).removeprefix("JSON is malformed: ")
    return "it ends too early" if text == "Input data was truncated" else text


def _too_deep() -> BadRequest:
    return BadRequest(f"the body is nested too deeply: expected at most {MAX_DEPTH} levels", code="too-long")


_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")
