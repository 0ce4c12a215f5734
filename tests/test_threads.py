"""Channels that block, and those that never come back."""
import threading
import time
from concurrent.futures import CancelledError

import pytest
from delivering import delivery, receiver  # noqa: F401

from fhirsub.delivery.channels import TryLater
from fhirsub.delivery.threads import Threads


@pytest.fixture
def threads():
    made = Threads(limit=2, timeout_s=0.3)
    yield made
    made.close()


@pytest.fixture
def hang():
    """Blocks whoever calls it until the test is over."""
    over = threading.Event()
    yield lambda _: over.wait(60)
    over.set()


def test_calls_give_what_they_return_or_raise(threads):
    assert threads.submit(str.upper, "a").result(10) == "A"
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda zero: 1 / zero, 0).result(10)


def test_no_more_calls_run_at_once_than_the_limit(threads):
    running, most, lock = [], [], threading.Lock()

    def call(number):
        with lock:
            running.append(number)
            most.append(len(running))
        time.sleep(0.01)
        with lock:
            running.remove(number)
    for started in [threads.submit(call, number) for number in range(10)]:
        started.result(10)
    assert max(most) == 2


def test_call_that_hangs_is_left_behind_and_its_place_taken(threads, hang):
    hung = [threads.submit(hang, None) for _ in range(4)]  # twice the limit
    last = threads.submit(str.upper, "a")
    for each in hung:
        with pytest.raises(TryLater) as raised:
            each.result(20)
        assert raised.value.error == "timeout" and "0.3 s" in raised.value.reason
    assert last.result(20) == "A"


def test_what_a_late_call_comes_to_is_not_listened_to(threads):
    done, late = threading.Event(), threading.Event()

    def call(_):
        done.wait(20)
        late.set()
        return "late"
    future = threads.submit(call, None)
    with pytest.raises(TryLater):
        future.result(20)
    done.set()
    assert late.wait(20) and isinstance(future.exception(), TryLater)


def test_close_drops_what_has_not_begun(threads, hang):
    for _ in range(2):
        threads.submit(hang, None)
    waiting = threads.submit(str.upper, "a")
    threads.close()
    for future in (waiting, threads.submit(str.upper, "a")):
        with pytest.raises(CancelledError):
            future.result(10)


def test_hanging_channel_is_a_failure_and_holds_up_no_other(delivery, hang):
    d, texts = delivery(CHANNEL_TIMEOUT_S=0.3, IN_FLIGHT=200), []
    d.channels["x-hung"] = type("Hung", (), {"send": lambda self, notification: hang(notification)})()
    d.channels["x-well"] = type("Well", (), {"send": lambda self, notification: texts.append(notification)})()
    for number in range(40):
        d.subscribe(id=f"h{number}", kind="x-hung")
    d.subscribe(id="well", kind="x-well")
    d.happen()
    d.pump()
    assert len(texts) == 1
    assert d.resource("h0")["status"] == "error" and "did not return within 0.3 s" in d.resource("h0")["error"]
    assert (d.state("h0").due_at - d.clock()).total_seconds() >= 60  # as after any timeout
