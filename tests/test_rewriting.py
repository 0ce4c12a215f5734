"""A Subscription that is changed while its events wait or are under way: nothing is lost, and nobody else notices.

Spec: https://hl7.org/fhir/R4/subscription.html
"""
from delivering import delivery, receiver  # noqa: F401
from receiver import slow, status
from topics import trigger


def under_way(d, path="/a"):
    """The next notification has arrived, and its answer has not."""
    d.dispatcher.hint()
    d.dispatcher.step()
    assert d.receiver.wait(1, path)


def test_backlog_of_a_websocket_goes_out_at_once_when_it_becomes_a_rest_hook(delivery):
    d = delivery()
    d.subscribe(kind="websocket")
    d.happen(2)
    d.rewrite(channel={"type": "rest-hook", "endpoint": d.receiver.url("/a")})
    d.match()
    d.pump()
    assert d.numbers() == [1, 2]


def test_backlog_of_a_rest_hook_waits_while_it_is_a_websocket(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(200))
    d.happen(2)
    d.pump()
    d.rewrite(channel={"type": "websocket"})
    d.match()
    d.clock.move(10)
    d.pump()
    assert d.numbers() == [1]
    d.rewrite(status="active", channel={"type": "rest-hook", "endpoint": d.receiver.url("/a")})
    d.match()
    d.pump()
    assert d.numbers() == [1, 1, 2]


def test_what_was_under_way_for_a_deleted_subscription_moves_no_other(delivery):
    """SQLite gives the number of a deleted row to the next one: here the cursor's."""
    d = delivery()
    d.subscribe("Observation?code=718-7", id="gone", path="/gone")
    d.receiver.behave("/gone", slow(0.5))
    d.happen()
    under_way(d, "/gone")
    d.delete("Subscription", "gone")
    d.match()
    d.subscribe("Observation?code=other")
    d.pump()
    d.happen(code="other")
    d.pump()
    assert d.numbers() == [1]


def test_id_of_a_deleted_subscription_begins_without_its_backlog(delivery):
    d = delivery()
    d.subscribe()
    d.happen(2)
    d.delete("Subscription", "sub")
    d.match()
    d.subscribe()
    d.happen()
    d.pump()
    assert d.numbers() == [3]  # a webhook-id is never given twice


def test_failure_does_not_hide_why_a_subscription_cannot_be_switched_on(delivery):
    d = delivery()
    d.define("arrival", trigger("data-added"))
    d.ask("Encounter", ["EventDefinition/arrival"],
          channel={"type": "rest-hook", "endpoint": d.receiver.url("/a")})
    d.match()
    d.write({"resourceType": "Encounter", "status": "arrived", "class": {"code": "AMB"}})
    d.match()
    d.define("arrival", trigger("data-added"), status="retired")
    d.match()
    told = d.resource()["error"]
    d.receiver.behave("/a", status(500), status(200))
    d.pump()
    assert d.resource()["error"] == told
    d.clock.move(10)
    d.pump()
    assert d.numbers() == [1, 1] and (d.resource()["status"], d.resource()["error"]) == ("error", told)


def test_410_says_what_became_of_the_backlog(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(410))
    d.happen(2)
    d.pump()
    assert "410" in d.resource()["error"] and "parked=true" in d.resource()["error"]


def test_request_while_an_attempt_is_under_way_starts_the_schedule_anew(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(500), status(500), slow(0.3, status(500)), status(500))
    d.happen()
    for _ in range(3):
        d.pump()
        d.clock.move(3600)
    d.receiver.arrivals.clear()
    under_way(d)
    d.rewrite(status="active")
    d.match()
    d.pump()
    assert d.resource()["status"] == "error" and d.state().attempts == 1
