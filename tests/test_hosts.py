"""What a host is spared: its share, its rate, and the breaker."""
import pytest

from fhirsub.config import Config
from fhirsub.delivery import breaker, hosts
from fhirsub.delivery.breaker import Breaker
from fhirsub.delivery.channels import TryLater
from fhirsub.delivery.hosts import Hosts
from fhirsub.delivery.rate import Bucket

URL = "https://example.org/a"


def made(draw=0.5, **settings):
    return Hosts(Config(settings, {}), draw=lambda: draw)


def held_s(all_hosts, now, url=URL):
    with pytest.raises(TryLater) as caught:
        all_hosts.enter(url, now)
    assert not caught.value.attempted
    return caught.value.after_s


def fail(all_hosts, error, times, now=0.0, url=URL):
    for _ in range(times):
        all_hosts.leave(all_hosts.enter(url, now), error, now, now)


# Share and rate


def test_share_of_a_host_is_limited_and_given_back():
    all_hosts = made(HOST_IN_FLIGHT=2)
    first, _ = all_hosts.enter(URL, 0), all_hosts.enter(URL, 0)
    assert 0 < held_s(all_hosts, 1) < 1
    all_hosts.leave(first, None, 0, 1)
    all_hosts.enter(URL, 1)


def test_those_sent_away_come_again_one_after_the_other():
    all_hosts = made(HOST_IN_FLIGHT=1)
    all_hosts.enter(URL, 1)
    assert [held_s(all_hosts, 1) / hosts.SPACING_S for _ in range(3)] == pytest.approx([1, 2, 3])


@pytest.mark.parametrize("url", ["https://example.org:8443/a", "https://other.org/a", "http://example.org:80/a"])
def test_hosts_and_ports_do_not_share(url):
    all_hosts = made(HOST_IN_FLIGHT=1)
    all_hosts.enter(URL, 0)
    all_hosts.enter(url, 0)


@pytest.mark.parametrize("url", ["https://EXAMPLE.org/b?c", "https://me@example.org/"])
def test_endpoints_of_one_host_share(url):
    all_hosts = made(HOST_IN_FLIGHT=1)
    all_hosts.enter(URL, 0)
    held_s(all_hosts, 0, url)


def test_rate_lets_a_burst_through_and_then_so_many_a_second():
    all_hosts = made(HOST_RATE=10.0)
    for _ in range(10):
        all_hosts.enter(URL, 0)
    assert [held_s(all_hosts, 0) for _ in range(3)] == pytest.approx([0.1, 0.2, 0.3])
    all_hosts.enter(URL, 0.11)
    held_s(all_hosts, 0.11)


@pytest.mark.parametrize("per_s, sent", [(0, 1000), (0.5, 1), (20, 20)])
def test_bucket_holds_what_a_second_brings(per_s, sent):
    bucket, count = Bucket(per_s, 0), 0
    while count < 1000 and bucket.wait_s(0) == 0:
        bucket.take()
        count += 1
    assert count == sent
    assert bucket.wait_s(5) == 0 and bucket.full(5)


def test_hosts_with_nothing_to_remember_are_forgotten(monkeypatch):
    monkeypatch.setattr(hosts, "REMEMBERED", 4)
    all_hosts = made()
    fail(all_hosts, "timeout", 1, url="https://failing.org")
    all_hosts.enter("https://busy.org", 0)
    for number in range(20):
        fail(all_hosts, None, 1, now=10.0 * number, url=f"https://{number}.org")
    assert len(all_hosts._hosts) <= 4 and {"failing.org", "busy.org"} <= all_hosts._hosts.keys()


# The breaker


@pytest.mark.parametrize("error, attempts", [
    ("unreachable", breaker.UNCONNECTED), ("dns", breaker.UNCONNECTED), ("tls", breaker.UNCONNECTED),
    ("timeout", breaker.UNANSWERED), ("broken", breaker.UNANSWERED)])
def test_host_that_answers_nothing_is_held_back(error, attempts):
    all_hosts = made()
    fail(all_hosts, error, attempts)
    assert held_s(all_hosts, 0) == breaker.SHORTEST_S
    all_hosts.enter("https://other.org/", 0)


def test_any_answer_between_keeps_the_breaker_closed():
    all_hosts = made()
    for _ in range(5):
        fail(all_hosts, "timeout", breaker.UNANSWERED - 1)
        fail(all_hosts, None, 1)


def test_forbidden_address_is_not_the_hosts_failure():
    fail(made(), "forbidden", 100)


def test_failures_that_began_before_the_last_answer_say_nothing():
    """64 endpoints of a host hang; the 65th is answered meanwhile."""
    all_hosts = made()
    hanging = [all_hosts.enter(URL, 0) for _ in range(64)]
    fail(all_hosts, None, 1, now=1)
    for host in hanging:
        all_hosts.leave(host, "timeout", 0, 15)
    all_hosts.enter(URL, 15)


def test_one_probe_finds_out_whether_the_host_is_back():
    all_hosts = made()
    fail(all_hosts, "unreachable", breaker.UNCONNECTED)
    probe = all_hosts.enter(URL, 2)
    assert held_s(all_hosts, 2) >= breaker.SHORTEST_S
    all_hosts.leave(probe, None, 2, 3)
    all_hosts.enter(URL, 3)
    all_hosts.enter(URL, 3)


def test_failed_probe_holds_back_for_a_quarter_of_the_outage():
    all_hosts = made()
    fail(all_hosts, "unreachable", breaker.UNCONNECTED)
    for now, pause_s in ((40, 10), (400, 100), (100_000, breaker.LONGEST_S)):
        all_hosts.leave(all_hosts.enter(URL, now), "timeout", now, now)
        assert held_s(all_hosts, now) == pytest.approx(pause_s)


def test_those_that_wait_for_a_probe_come_back_spread_out():
    early, late = Breaker(), []
    for _ in range(breaker.UNCONNECTED):
        early.ended("unreachable", 0, 0)
    early.began(400)
    late = [early.wait_s(400, lambda: draw) for draw in (0, 0.5, 1)]
    assert late == [1, 51, 101]


def test_probe_that_never_left_does_not_close_the_way():
    all_hosts = made()
    fail(all_hosts, "unreachable", breaker.UNCONNECTED)
    all_hosts.leave(all_hosts.enter(URL, 2), "forbidden", 2, 2)
    all_hosts.enter(URL, 2)
