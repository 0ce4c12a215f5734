"""An event whose notification cannot be made: tried three times, parked, and the next are sent. Reliability F30."""
import pytest
from delivering import FHIR, delivery, receiver  # noqa: F401
from fhir_client import make_client
from receiver import status
from sqlalchemy import select, update
from test_replay import ask

from fhirsub import SetAside, TryLater
from fhirsub.delivery.channels.message import Message
from fhirsub.delivery.retention import Retention
from fhirsub.fhir.extensions import ORDERING
from fhirsub.store.tables import attempt, change, cursor, version

BROKEN = '{"resourceType":"Observation","id":"patient-name"'
PARALLEL = [{"url": ORDERING, "valueCode": "parallel"}]


class Picky:
    """A channel of a host application that cannot make notifications of some events."""

    blocking = True

    def __init__(self, *bad, error=SetAside):
        self.bad, self.error, self.sent = set(bad), error, []

    def send(self, notification):
        if notification.event_number in self.bad:
            raise self.error()
        self.sent.append(notification.event_number)


def messages(delivery, count, bad, extension=(), **settings):
    """A Delivery with a Subscription to messages and events, one of which cannot be decoded any more."""
    d = delivery(**settings)
    d.channels["message"] = Message(d.egress, d.config, d.clock)
    channel = {"type": "message", "endpoint": d.receiver.url("/a"), "payload": FHIR}
    d.subscribe(channel=channel | ({"extension": extension} if extension else {}))
    for number in range(1, count + 1):
        d.happen(id=f"o{number}")
    spoil(d, BROKEN, f"o{bad}")
    return d


def spoil(d, content, id):
    with d.database.write() as tx:
        tx.execute(update(version).where(version.c.id == id).values(content=content))


def numbers(d):
    return d.numbers("/a/$process-message")


def retry(d, count=2):
    for _ in range(count):
        d.clock.move(10)
        d.pump()
        d.match()  # what the dispatcher wrote of the status: a later `active` would start the schedule anew


def log(d, number):
    with d.database.read() as tx:
        return [(row.attempt, row.error, row.next_at is not None) for row in tx.execute(
            select(attempt).where(attempt.c.event_number == number).order_by(attempt.c.key))]


def cursors(d):
    with d.database.read() as tx:
        return [(row.accepted, row.until, row.parked) for row in tx.execute(select(cursor).order_by(cursor.c.key))]


@pytest.mark.parametrize("extension", [(), PARALLEL], ids=["strict", "parallel"])
def test_event_that_cannot_be_rendered_is_parked_and_the_next_are_sent(delivery, extension):
    d = messages(delivery, 4, 2, extension)
    d.pump()
    assert numbers(d) == [1] if not extension else sorted(numbers(d)) == [1, 3, 4]
    assert d.resource()["status"] == "error" and d.state().attempts == 1
    retry(d)
    assert sorted(numbers(d)) == [1, 3, 4] and d.resource()["status"] == ("error" if extension else "active")
    assert log(d, 2) == [(1, "render", True), (2, "render", True), (3, "render", False)]
    assert cursors(d) == [(4, None, False), (1, 2, True)]
    assert (d.state().attempts, d.state().due_at, d.state().lease) == (0, None, None)
    assert d.dispatcher.outcomes["render"] == 3


def test_owner_is_told_which_event_is_parked_and_nothing_of_it(delivery, caplog):
    d = messages(delivery, 1, 1)
    d.pump()
    retry(d)
    assert d.resource()["status"] == "error"
    assert d.resource()["error"].startswith("event 1 is parked") and "parked=true" in d.resource()["error"]
    assert "event 1 of Subscription/sub is parked" in caplog.text and "patient-name" not in caplog.text
    told = {one["name"]: one.get("valueUnsignedInt") for one in
            make_client(d.database).get("Subscription/sub/$attempts").resource["parameter"]}
    assert (told["waiting"], told["parked"]) == (0, 1)
    d.happen()
    d.pump()
    assert numbers(d) == [2] and d.resource()["status"] == "active"


def test_parked_event_is_sent_by_replay_once_it_can_be(delivery):
    d = messages(delivery, 3, 2)
    d.pump()
    retry(d)
    spoil(d, '{"resourceType":"Observation","id":"o2"}', "o2")
    assert ask(d, parked=True).resource["parameter"][0]["valueUnsignedInt"] == 1
    d.pump()
    assert numbers(d) == [1, 3, 2] and cursors(d) == [(3, None, False)]


def test_parked_event_that_still_cannot_be_rendered_is_parked_again(delivery):
    d = messages(delivery, 2, 1)
    d.pump()
    retry(d)
    d.happen()
    ask(d, parked=True)
    d.pump()
    retry(d)
    assert numbers(d) == [2, 3] and cursors(d) == [(3, None, False), (0, 1, True)]


def test_replay_over_a_parked_event_parks_it_once(delivery):
    d = messages(delivery, 3, 2)
    d.pump()
    retry(d)
    ask(d, from_=1)
    d.pump()
    retry(d)
    assert numbers(d) == [1, 3, 1, 3] and cursors(d) == [(3, None, False), (1, 2, True)]


def test_parked_event_survives_off_and_on(delivery):
    d = messages(delivery, 2, 1)
    d.pump()
    retry(d)
    d.rewrite(status="off")
    d.match()
    d.rewrite(status="active")
    d.match()
    d.happen()
    spoil(d, '{"resourceType":"Observation","id":"o1"}', "o1")
    ask(d, parked=True)
    d.pump()
    assert numbers(d) == [2, 1, 3]


def test_parked_event_is_forgotten_when_its_time_is_over(delivery):
    d = messages(delivery, 3, 1, EVENT_DAYS=30)
    d.pump()
    retry(d)
    d.clock.move(31 * 86400)
    retention = Retention(d.database, d.config, now=d.clock)
    while retention.step():
        pass
    assert cursors(d) == [(3, None, False)]


@pytest.mark.parametrize("error, told", [(SetAside, "active"), (TryLater, "off"), (KeyError, "off")])
def test_only_an_event_that_is_set_aside_lets_the_next_pass(delivery, error, told):
    d = delivery(RETRY_SCHEDULE_S="5 5 5")
    d.channels["x-picky"] = picky = Picky(1, error=error)
    d.subscribe(kind="x-picky")
    d.happen(2)
    d.pump()
    retry(d, 4)
    assert (picky.sent, d.resource()["status"]) == ([2] if told == "active" else [], told)


def test_several_events_are_parked_one_by_one(delivery):
    d = delivery()
    d.channels["x-picky"] = picky = Picky(1, 2, 4)
    d.subscribe(kind="x-picky", channel={"type": "x-picky", "endpoint": "x", "extension": PARALLEL})
    d.happen(5)
    d.pump()
    retry(d, 8)
    assert sorted(picky.sent) == [3, 5] and cursors(d) == [(5, None, False), (0, 1, True), (1, 2, True), (3, 4, True)]


def test_what_is_counted_together_is_no_event_of_its_own_tries(delivery):
    """The endpoint failed before: the event is parked as soon as it has been tried three times in all."""
    d = messages(delivery, 1, 1)
    spoil(d, '{"resourceType":"Observation","id":"o1"}', "o1")
    d.receiver.behave("/a/$process-message", status(500))
    d.pump()
    retry(d, 1)
    spoil(d, BROKEN, "o1")
    d.clock.move(400)
    d.pump()
    assert [error for _, error, _ in log(d, 1)] == ["status", "status", "render"] and cursors(d)[1] == (0, 1, True)


def test_new_words_of_the_owner_give_it_another_chance(delivery):
    d = messages(delivery, 1, 1)
    d.pump()
    retry(d, 1)
    d.rewrite(status="active", channel={"type": "rest-hook", "endpoint": d.receiver.url("/b")})
    d.match()
    d.pump()
    assert d.numbers("/b") == [1] and cursors(d) == [(1, None, False)]


def test_context_that_cannot_be_decoded_stops_nobody_else(delivery):
    d = delivery()
    d.subscribe(id="sub")
    d.happen()
    with d.database.write() as tx:
        tx.execute(update(change).where(change.c.type == "Observation").values(context="["))
    d.subscribe("Patient", id="other", path="/b")
    d.write({"resourceType": "Patient"})
    d.match()
    d.pump()
    assert (d.numbers("/a"), d.numbers("/b")) == ([], [1])
    retry(d)
    assert log(d, 1)[-1] == (3, "render", False) and cursors(d)[-1] == (0, 1, True)


def test_subscription_that_cannot_be_read_stops_nobody_else(delivery, caplog):
    d = delivery()
    d.subscribe(id="good", path="/good")
    d.subscribe(id="spoilt", path="/spoilt")
    d.happen()
    spoil(d, BROKEN, "spoilt")
    d.pump()
    d.happen()
    d.pump()
    assert (d.numbers("/good"), d.numbers("/spoilt")) == ([1, 2], [])
    assert "Subscription/spoilt cannot be read" in caplog.text and "patient-name" not in caplog.text


def test_schedule_shorter_than_three_tries_is_used_up_first(delivery):
    d = messages(delivery, 2, 1, RETRY_SCHEDULE_S="5")
    d.pump()
    retry(d, 1)
    assert numbers(d) == [2] and len(log(d, 1)) == 2
