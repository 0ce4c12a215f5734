"""The websocket protocol. Spec: https://hl7.org/fhir/R4/subscription.html#websocket"""
import pytest

from fhirsub.delivery.channels import websocket

ID = "0f5e8a3c-0000-4000-8000-1a2b3c4d5e6f"


@pytest.mark.parametrize("message", [f"bind {ID}", f"bind :{ID}", f"bind Subscription/{ID}", f"bind :Subscription/{ID}",
                                     f" bind  {ID}\n"])
def test_subscription_id_is_read_from_a_bind(message):
    assert websocket.subscription_id(message) == ID


@pytest.mark.parametrize("message", ["", "bind", "bind ", f"bind{ID}", f"BIND {ID}", f"ping {ID}", f"bind {ID} {ID}",
                                     "bind Patient/1", "bind a_b", "bind " + 65 * "a", "bind \u0663"])
def test_subscription_id_is_none_for_anything_else(message):
    assert websocket.subscription_id(message) is None


def test_answers_are_those_of_r4():
    assert (websocket.bound(ID), websocket.ping(ID)) == (f"bound {ID}", f"ping {ID}")


@pytest.mark.parametrize("text", [websocket.refusal(ID), websocket.crowded(ID, 5), websocket.ended(ID),
                                  websocket.UNKNOWN_COMMAND])
def test_errors_cannot_be_taken_for_bound_or_ping(text):
    assert text.startswith("error") and "bound" not in text and "ping" not in text
