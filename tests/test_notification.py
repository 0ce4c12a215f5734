from decimal import Decimal

from fhirsub.delivery.notification import Notification

SUBSCRIPTION = {"resourceType": "Subscription", "id": "s1", "channel": {"type": "rest-hook", "endpoint": "https://x.org"}}


def notification(**more):
    return Notification(**{"subscription": SUBSCRIPTION, "subscription_key": 7, "event_number": 42, "attempt": 1,
                           "type": "Observation", "resource_id": "o.1", "version_id": "3", "interaction": "update"} | more)


def test_id_is_the_same_for_every_attempt_and_never_has_a_dot():  # standard-webhooks signs "id.timestamp.body"
    assert notification().id == notification(attempt=5).id == "evt-7-42"


def test_id_differs_between_events_and_subscriptions():
    assert len({notification().id, notification(event_number=43).id, notification(subscription_key=8).id}) == 3


def test_channel_is_that_of_the_subscription():
    assert notification().channel["endpoint"] == "https://x.org"


def test_resource_keeps_digits():
    assert notification(content='{"valueDecimal":1.00}').resource == {"valueDecimal": Decimal("1.00")}
    assert str(notification(content='{"valueDecimal":1.00}').resource["valueDecimal"]) == "1.00"


def test_resource_is_none_without_payload():
    assert notification().resource is None
