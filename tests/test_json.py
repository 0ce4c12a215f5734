"""JSON keeps its digits and refuses what cannot be read. Spec: https://hl7.org/fhir/R4/json.html"""
from decimal import Decimal

import pytest

from fhirsub.errors import BadRequest
from fhirsub.fhir.json import MAX_DEPTH, decode, decode_strictly, encode


@pytest.mark.parametrize("number", ["1.00", "0.001530", "123456789012345678901.5", "1E-22", "0", "-3", "120",
                                    "12345678901234567890123"])
def test_numbers_keep_their_digits(number):
    assert encode(decode(f"[{number}]")) == f"[{number}]".encode()


def test_decode_gives_int_for_whole_and_decimal_for_other_numbers():
    whole, other = decode(b"[7, 7.0]")
    assert type(whole) is int and type(other) is Decimal


def test_text_survives_a_round_trip():
    text = '{"a":"äöü \\" \\\\ 😀","b":[true,false,null]}'
    assert decode(encode(decode(text))) == decode(text.encode())


@pytest.mark.parametrize("body, says", [
    (b"", "ends too early"),
    (b'{"a": 1', "ends too early"),
    (b'{"a": x}', "byte 6"),
    (b"{} {}", "trailing"),
    (b"[NaN]", "byte 1"),
    (b'{"a": "x\ny"}', "byte"),
    (b'{"a": "\xff"}', "UTF-8"),
    (b"[1E999999999]", "out of range"),
    (b"[1E-999999999]", "out of range"),
])
def test_decode_refuses_and_says_where(body, says):
    with pytest.raises(BadRequest, match=says):
        decode(body)


@pytest.mark.parametrize("opening, closing", [(b"[", b"]"), (b'{"a":', b"}")])
def test_decode_refuses_deep_nesting(opening, closing):
    def nested(levels):
        return opening * levels + b"1" + closing * levels

    decode(nested(MAX_DEPTH))
    for levels in (MAX_DEPTH + 1, 5000):
        with pytest.raises(BadRequest, match="100 levels"):
            decode(nested(levels))


def test_decode_takes_wide_json_with_many_brackets():
    assert len(decode(b"[" + b"{}," * 5000 + b"{}]")) == 5001


@pytest.mark.parametrize("body, name", [
    (b'{"status": "final", "status": "amended"}', "status"), (b'{"a": 1, "b": {"c": [{"d": 1, "d": 1}]}}', "d"),
    (b'{"\\u0061": 1, "a": 2}', "a"), (b'{"a": 1, "a": 1, "a": 1}', "a"),
    (b'{"b": "\\u0022\\u0022", "a": 1, "a": 2}', "a")])
def test_strict_decode_refuses_a_repeated_member(body, name):
    with pytest.raises(BadRequest, match=f"member '{name}' twice"):
        decode_strictly(body)


@pytest.mark.parametrize("body", [b'{"a": "\\u0022\\"", "b": ["\\u0022"]}', b'[{"a": 1}, {"a": 1.00}]', b"{}", b"null"])
def test_strict_decode_reads_what_decode_reads(body):
    assert decode_strictly(body) == decode(body)
