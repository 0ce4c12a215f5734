"""The log of attempts and Subscription/ID/$attempts. Spec: https://hl7.org/fhir/R4/operations.html"""
import pytest
from delivering import delivery, receiver  # noqa: F401
from fhir.resources.R4B.parameters import Parameters
from fhir_client import assert_refused, make_client
from pipeline import observation
from receiver import hang, reset, status
from sqlalchemy import select

from fhirsub.delivery import claims
from fhirsub.delivery.channels import GiveUp, TryLater
from fhirsub.delivery.retry import LONGEST_S
from fhirsub.fhir.instants import instant_text
from fhirsub.store.tables import attempt


def log(d):
    """The rows of the log, oldest first."""
    with d.database.read() as tx:
        return tx.execute(select(attempt).order_by(attempt.c.key)).all()


def answer(d, query="", id="sub"):
    """``({"waiting": n, "parked": n, "next": url}, [{"eventNumber": n, …}, …])``"""
    client = make_client(d.database, DEFAULT_PAGE=50)
    response = client.get(f"Subscription/{id}/$attempts{query}")
    assert response.status_code == 200, response.text
    Parameters.model_validate(response.resource)
    parameters = response.resource["parameter"]
    return ({one["name"]: value(one) for one in parameters if "part" not in one},
            [{part["name"]: value(part) for part in one["part"]} for one in parameters if "part" in one])


def value(parameter):
    return next(found for name, found in parameter.items() if name.startswith("value"))


def test_attempts_are_logged_with_what_came_of_them(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(200))
    d.happen(2)
    started = d.clock()
    d.pump()
    due_at = d.state().due_at
    d.clock.move(6)
    d.pump()
    failed, accepted, second = log(d)
    assert (failed.event_number, failed.attempt, failed.status, failed.next_at) == (1, 1, 500, due_at)
    assert (failed.error, failed.started_at, failed.manual) == ("status", started, False)
    assert (accepted.event_number, accepted.attempt, accepted.error, accepted.next_at) == (1, 2, None, None)
    assert (second.event_number, second.attempt, second.status) == (2, 1, 200)
    assert 0 <= failed.took_ms < 20_000


def test_failure_without_an_answer_is_logged_by_its_class(delivery):
    d = delivery(ATTEMPT_TIMEOUT_S=0.3)
    d.subscribe(id="hung", path="/hung")
    d.subscribe(id="cut", path="/cut")
    d.receiver.behave("/hung", hang())
    d.receiver.behave("/cut", reset())
    d.happen()
    d.pump()
    assert {(row.error, row.status) for row in log(d)} == {("timeout", None), ("broken", None)}


class Failing:
    """A channel that raises what it is given."""

    blocking = False

    def __init__(self, *errors):
        self.errors = list(errors)

    def send(self, notification):
        if self.errors:
            raise self.errors.pop(0)


@pytest.mark.parametrize("error, logged", [
    (TryLater(error="dns"), "dns"), (TryLater(), "channel"), (GiveUp("gone"), "channel"), (KeyError("x"), "exception"),
    (TryLater(error="x" * 40), "x" * 32), (TryLater(status="none", error=7), "7")])
def test_failure_of_another_channel_is_logged(delivery, error, logged):
    d = delivery()
    d.channels["x-fails"] = Failing(error)
    d.subscribe(kind="x-fails")
    d.happen()
    d.pump()
    assert [row.error for row in log(d)] == [logged]


def test_what_could_not_be_tried_uses_up_nothing(delivery):
    d = delivery()
    d.channels["x-full"] = Failing(*[TryLater(2, "too many at once", attempted=False)] * 5)
    d.subscribe(kind="x-full")
    d.happen()
    for _ in range(5):
        d.pump()
        assert (d.state().attempts, d.resource()["status"]) == (0, "active") and not log(d)
        assert (d.state().due_at - d.clock()).total_seconds() == 2
        d.clock.move(2)
    d.pump()
    assert [(row.attempt, row.error) for row in log(d)] == [(1, None)]


@pytest.mark.parametrize("after_s, waits_s", [(1e13, LONGEST_S), (-1e13, 0)])
def test_what_could_not_be_tried_waits_for_no_time_beyond_all_dates(delivery, after_s, waits_s):
    d = delivery()
    d.channels["x-full"] = Failing(TryLater(after_s, attempted=False))
    d.subscribe(kind="x-full")
    d.happen()
    d.dispatcher.hint()
    d.dispatcher.step()
    d.dispatcher._round()
    assert (d.state().due_at - d.clock()).total_seconds() == waits_s


def test_outcome_of_a_lost_lease_is_not_logged(delivery):
    d = delivery()
    d.subscribe()
    d.happen()
    d.dispatcher.step()
    d.receiver.wait(1)
    with d.database.write() as tx:
        claims.put_off(tx, [d.state().key], due_at=None)
    d.pump()
    assert not log(d)


def test_attempts_are_told_newest_first_and_page_by_page(delivery):
    d = delivery()
    d.subscribe()
    d.happen(5)
    d.pump()
    counts, newest = answer(d, "?_count=2")
    assert counts["waiting"] == 0 and counts["parked"] == 0
    assert [one["eventNumber"] for one in newest] == [5, 4]
    assert newest[0] | {"ms": 0} == {"eventNumber": 5, "attempt": 1, "manual": False, "started": instant_text(d.clock()),
                                     "ms": 0, "outcome": "accepted", "status": 200}
    told = [5, 4]
    while "next" in counts:
        counts, older = answer(d, "?" + counts["next"].partition("?")[2])
        told += [one["eventNumber"] for one in older]
    assert told == [5, 4, 3, 2, 1]


def test_attempts_are_narrowed_down(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(500), status(503), status(200))
    d.happen()
    d.pump()
    d.clock.move(10)
    d.pump()
    later = d.clock()
    d.clock.move(1000)
    d.pump()
    assert [one["attempt"] for one in answer(d, "?status=failed")[1]] == [2, 1]
    assert [one["attempt"] for one in answer(d, "?status=accepted")[1]] == [3]
    assert [one["attempt"] for one in answer(d, "?status=503")[1]] == [2]
    assert [one["attempt"] for one in answer(d, f"?since={instant_text(later)}&status=failed")[1]] == [2]
    assert answer(d, "?status=404")[1] == []


def test_attempts_tell_what_waits_and_when_it_is_tried_again(delivery):
    d = delivery()
    d.subscribe()
    d.receiver.behave("/a", status(404))
    d.happen(3)
    d.pump()
    counts, [one] = answer(d)
    assert counts["waiting"] == 3 and one["outcome"] == "failed" and one["next"] == instant_text(d.state().due_at)
    d.rewrite(status="off")
    d.match()
    counts, _ = answer(d)
    assert (counts["waiting"], counts["parked"]) == (0, 3)


def test_attempts_of_others_are_not_told(delivery):
    d = delivery()
    d.subscribe(id="one", path="/one")
    d.subscribe("Observation?status=amended", id="two", path="/two")
    d.happen()
    d.pump()
    assert len(answer(d, id="one")[1]) == 1 and answer(d, id="two")[1] == []


@pytest.mark.parametrize("query, words", [
    ("?status=nonsense", "status: expected accepted"), ("?since=2024", "since"), ("?_cursor=x", "_cursor"),
    ("?nonsense=1", "nonsense"), ("?_count=x", "_count")])
def test_what_cannot_be_read_is_refused(delivery, query, words):
    d = delivery()
    d.subscribe()
    assert_refused(make_client(d.database).get(f"Subscription/sub/$attempts{query}"), 400, words)


def test_attempts_of_what_is_not_there_are_not_found(delivery):
    d = delivery()
    client = make_client(d.database)
    assert_refused(client.get("Subscription/sub/$attempts"), 404, "Subscription/sub")
    d.subscribe()
    d.delete("Subscription", "sub")
    assert_refused(client.get("Subscription/sub/$attempts"), 410, "Subscription/sub")
    d.write(observation(id="o"))
    assert_refused(client.get("Observation/o/$attempts"), 404)
