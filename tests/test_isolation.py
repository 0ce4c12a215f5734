"""One host's trouble is nobody else's: hanging endpoints, the breaker, the rate, with real dispatchers and receivers."""
import pytest
from delivering import Running, delivery, real_time, receiver  # noqa: F401 - fixtures
from receiver import Receiver, hang, reset, status


@pytest.fixture
def running(delivery):  # noqa: F811
    """Makes a Delivery whose dispatcher runs; it has subscriptions only when ``start`` is called."""
    made = []

    def start(d):
        d.dispatcher.now = real_time
        made.append(Running(d.dispatcher))

    def make(**settings):
        quick = {"ATTEMPT_TIMEOUT_S": 60.0, "RETRY_SCHEDULE_S": " ".join(["0.1"] * 100), "RETRY_FLOOR_S": 0.1}
        d = delivery(**quick | settings)
        d.clock.now, d.start = real_time(), lambda: start(d)
        return d
    yield make
    for each in made:
        each.dispatcher.sender.close()
        each.dispatcher.stop()


@pytest.fixture(autouse=True)
def short_drain(monkeypatch):
    monkeypatch.setattr("fhirsub.delivery.dispatcher.DRAIN_S", 0.2)


def test_64_hanging_endpoints_do_not_stop_the_65th(running):  # F9, all on one host and port
    d = running()
    for number in range(64):
        d.subscribe(id=f"hangs{number}", path="/hang")
    d.receiver.behave("/hang", hang())
    d.subscribe()
    d.start()
    for _ in range(20):
        d.happen()
    assert len(d.receiver.wait(20, "/a", timeout_s=50)) == 20
    assert len(d.receiver.wait(64, "/hang", timeout_s=50)) == 64
    assert d.numbers() == list(range(1, 21))


def test_hanging_host_takes_no_more_than_its_share(running):
    d = running(IN_FLIGHT=16, HOST_IN_FLIGHT=4)
    for number in range(20):
        d.subscribe(id=f"hangs{number}", path="/hang")
    d.receiver.behave("/hang", hang())
    with Receiver() as another:
        d.subscribe(id="other", channel={"type": "rest-hook", "endpoint": another.url("/b")})
        d.start()
        d.happen(10)
        assert len(another.wait(10, timeout_s=50)) == 10
    assert len(d.receiver.arrivals) == 4
    assert {d.resource(f"hangs{number}")["status"] for number in range(20)} == {"active"}
    assert {d.state(f"hangs{number}").attempts for number in range(20)} == {0}


def test_host_that_comes_back_gets_all_in_order(running, monkeypatch):
    monkeypatch.setattr("fhirsub.delivery.breaker.SHORTEST_S", 0.2)
    d = running()
    for number in range(4):
        d.subscribe(id=f"s{number}", path=f"/{number}")
        d.receiver.behave(f"/{number}", reset(), reset(), reset(), reset(), status(200))
    d.happen(5)
    d.start()
    for number in range(4):
        arrivals = d.receiver.wait(9, f"/{number}", timeout_s=50)
        assert [int(arrival.headers["x-fhir-event-number"]) for arrival in arrivals] == [1] * 5 + [2, 3, 4, 5]


def test_rate_delays_and_loses_nothing(running):
    d = running(HOST_RATE=20.0)
    d.subscribe()
    d.happen(60)
    d.start()
    arrivals = d.receiver.wait(60, "/a", timeout_s=50)
    assert d.numbers() == list(range(1, 61)) and d.state().attempts == 0
    assert arrivals[-1].at - arrivals[0].at > 1.5  # the first second's worth at once, then 40 at 20 a second
