"""https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
import base64

import pytest

from fhirsub.delivery import signature
from fhirsub.errors import Unprocessable
from fhirsub.fhir.extensions import SIGNATURE


def channel(*secrets):
    return {"type": "rest-hook", "extension": [{"url": "http://example.org/other", "valueString": "x"}]
            + [{"url": SIGNATURE, "valueString": secret} for secret in secrets]}


def secret(size=32, fill=b"k"):
    return signature.PREFIX + base64.b64encode(fill * size).decode()


def test_signature_is_that_of_the_reference_libraries():
    known = channel("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    assert signature.headers(known, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}') == [
        ("webhook-signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=")]


def test_channel_without_secret_is_not_signed():
    assert signature.headers(channel(), "evt-1-1", "1", b"") == []
    assert signature.headers({"type": "rest-hook"}, "evt-1-1", "1", b"") == []


@pytest.mark.parametrize("good", [secret(24), secret(64), signature.MASK])
def test_check_accepts(good):
    signature.check(channel(good))


@pytest.mark.parametrize("bad", [secret(23), secret(65), "hunter2", "whsec_", "whsec_hunter2!", secret()[6:], None, 5,
                                 secret() + " " + secret()])
def test_check_refuses_what_is_no_secret_and_does_not_repeat_it(bad):
    with pytest.raises(Unprocessable, match="openssl rand") as caught:
        signature.check(channel(bad))
    assert caught.value.issues[0].expression == "Subscription.channel.extension"
    assert not isinstance(bad, str) or len(bad) < 8 or bad not in str(caught.value)


def test_check_refuses_two():
    with pytest.raises(Unprocessable, match="2 times"):
        signature.check(channel(secret(), secret()))
