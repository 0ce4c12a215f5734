import gzip
import resource
import socket
import subprocess
import sys
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from receiver import Receiver, drip, endless, hang, redirect, reset, slow, status

from fhirsub.config import Config
from fhirsub.delivery import breaker, egress as egress_module, transfer
from fhirsub.delivery.channels import TryLater
from fhirsub.delivery.egress import Egress, Request


@pytest.fixture
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture
def opened():
    """Makes an Egress with settings; all are closed afterwards."""
    made = []

    def make(**settings):
        made.append(Egress(Config({"HOST": "127.0.0.1", "ATTEMPT_TIMEOUT_S": 2.0} | settings, {})))
        return made[-1]
    yield make
    for egress in made:
        egress.close()


def post(egress, url, headers=(), body=b"", method="POST"):
    return egress.submit(Request(method, url, list(headers), body)).result(10)


def test_request_arrives_as_given(opened, receiver):
    answer = post(opened(), receiver.url("/a?b=c"), [("X-One", "1"), ("X-Empty", ""), ("X-Utf", "é: x")], b'{"a":1}', "PUT")
    (arrival,) = receiver.arrivals
    assert (answer.status, answer.error) == (200, None)
    assert (arrival.method, arrival.path, arrival.body) == ("PUT", "/a?b=c", b'{"a":1}')
    assert arrival.headers["x-one"] == "1" and arrival.headers["x-empty"] == ""
    assert arrival.headers["x-utf"].encode("latin-1").decode() == "é: x"


def test_empty_body_has_length_and_no_type(opened, receiver):
    post(opened(), receiver.url())
    headers = receiver.arrivals[0].headers
    assert headers["content-length"] == "0" and headers["accept-encoding"] == "identity"
    assert not headers.keys() & {"content-type", "expect", "accept", "transfer-encoding"}


def test_large_body_is_sent_whole_without_expect(opened, receiver):
    body = b"x" * (5 * 1024 * 1024)
    assert post(opened(ATTEMPT_TIMEOUT_S=10.0), receiver.url(), body=body).status == 200
    assert receiver.arrivals[0].body == body and "expect" not in receiver.arrivals[0].headers


@pytest.mark.parametrize("code", [200, 201, 204, 299, 301, 307, 400, 404, 410, 429, 500, 503])
def test_status_is_told_as_it_came(opened, receiver, code):
    receiver.behave("/", status(code))
    assert post(opened(), receiver.url()).status == code


def test_retry_after_is_told(opened, receiver):
    receiver.behave("/", status(429, [("retry-AFTER", " 17 ")]))
    assert post(opened(), receiver.url()).retry_after == "17"


def test_connection_is_kept_for_the_next_request(opened, receiver):
    egress = opened()
    for _ in range(5):
        post(egress, receiver.url())
    assert len({arrival.peer for arrival in receiver.arrivals}) == 1


def test_redirect_is_not_followed(opened, receiver):
    receiver.behave("/", redirect(receiver.url("/elsewhere")))
    assert post(opened(), receiver.url()).status == 307
    assert not receiver.at("/elsewhere")


@pytest.mark.parametrize("behaviour", [hang(), drip()], ids=["hang", "drip"])
def test_attempt_ends_on_time(opened, receiver, behaviour):  # reliability F9
    receiver.behave("/", behaviour)
    started = time.monotonic()
    answer = post(opened(ATTEMPT_TIMEOUT_S=1.0), receiver.url())
    assert (answer.status, answer.error) == (None, "timeout")
    assert 0.9 < time.monotonic() - started < 10


def test_complete_headers_count_although_body_never_ends(opened, receiver):
    receiver.behave("/", drip(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000, pause_s=0.02))
    answer = post(opened(ATTEMPT_TIMEOUT_S=2.0), receiver.url())
    assert (answer.status, answer.error) == (200, None)


def test_interim_answer_is_not_the_answer(opened, receiver):
    receiver.behave("/", drip(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", pause_s=0))
    assert post(opened(), receiver.url()).status == 503


def test_interim_answer_alone_is_none(opened, receiver):
    receiver.behave("/", reset(b"HTTP/1.1 102 Processing\r\n\r\n"))
    assert post(opened(), receiver.url()).error == "broken"


def test_compressed_body_is_not_unpacked(opened, receiver):  # F11
    bomb = gzip.compress(bytes(64 * 1024 * 1024), 9)[:transfer.MAX_BODY_BYTES]
    receiver.behave("/", status(200, [("Content-Encoding", "gzip")], bomb))
    egress = opened()
    post(egress, receiver.url())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert post(egress, receiver.url()).status == 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


@pytest.mark.parametrize("code", [200, 500])
def test_endless_body_is_cut_off_and_costs_no_memory(opened, receiver, code):  # F11
    receiver.behave("/", endless(code))
    egress = opened()
    post(egress, receiver.url())
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
    assert post(egress, receiver.url()).status == code
    assert time.monotonic() - started < 8
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 5 * 1024


def test_endless_headers_are_cut_off(opened, receiver):
    receiver.behave("/", drip(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 20_000 + b"\r\n", pause_s=0))
    assert post(opened(), receiver.url()).error == "broken"


@pytest.mark.parametrize("after", [b"", b"HTTP/1.1 200 OK\r\nX-Half: "], ids=["at once", "in the headers"])
def test_reset_before_headers_end_is_no_answer(opened, receiver, after):  # F12
    receiver.behave("/", reset(after))
    assert post(opened(), receiver.url()).error == "broken"


def test_reset_in_body_is_an_answer(opened, receiver):
    receiver.behave("/", reset(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"))
    assert post(opened(), receiver.url()).status == 200


def test_text_that_is_no_http_is_no_answer(opened, receiver):
    receiver.behave("/", reset(b"SSH-2.0-OpenSSH_9.2\r\n"))
    assert post(opened(), receiver.url()).error == "broken"


def test_forbidden_host_is_told_alike_whatever_is_there(opened, receiver):
    """Nobody can map the server's own network by the errors of a Subscription: D6."""
    guarded = opened(HOST="0.0.0.0", ALLOW_HTTP=True)
    answers = [post(guarded, url) for url in (receiver.url(), closed_port(), "http://10.0.0.1:8080/")]
    answers.append(post(opened(), "http://127.0.0.1:22/"))
    assert {(answer.status, answer.error) for answer in answers} == {(None, "forbidden")}
    assert not receiver.arrivals


def test_closed_port_and_unknown_name_are_told_where_this_server_may_send(opened):
    assert post(opened(), closed_port()).error == "unreachable"
    assert post(opened(), "http://name.invalid/").error == "dns"


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost.", "[::1]",
                                  "[::ffff:127.0.0.1]", "0.0.0.0", "foo.localhost"])
def test_connection_to_loopback_is_never_opened_however_it_is_spelled(opened, receiver, host):  # F15
    assert post(opened(HOST="0.0.0.0", ALLOW_HTTP=True), receiver.url("/", host)).error == "forbidden"
    assert not receiver.arrivals


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.1", "localhost", "[::ffff:127.0.0.1]"])
def test_loopback_is_reached_where_it_is_allowed(opened, receiver, host):  # so that the test above means something
    assert post(opened(), receiver.url("/", host)).status == 200


def test_address_is_checked_as_it_is_connected_to(opened, receiver, monkeypatch):
    """F14: whatever a name was checked as, the socket goes to the address that is asked about."""
    asked = []
    monkeypatch.setattr(egress_module.Reach, "address", lambda self, text, scheme: asked.append((text, scheme)))
    assert post(opened(), receiver.url("/", "localhost")).error == "forbidden"
    assert ("127.0.0.1", "http") in asked and not receiver.arrivals


def test_proxies_and_passwords_of_the_environment_are_not_used(opened, receiver, monkeypatch, tmp_path):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, closed_port())
    assert post(opened(), receiver.url()).status == 200
    assert "authorization" not in receiver.arrivals[0].headers


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1:2000/_x", "ws://127.0.0.1/"])
def test_other_schemes_are_not_spoken(opened, url):
    assert post(opened(), url).status is None


def test_hanging_endpoints_do_not_delay_others(opened, receiver):  # A2.3
    egress = opened(ATTEMPT_TIMEOUT_S=60.0, HOST_IN_FLIGHT=201)
    receiver.behave("/hang", hang())
    hanging = [egress.submit(Request("POST", receiver.url("/hang"), [])) for _ in range(200)]
    receiver.wait(200, "/hang")
    assert post(egress, receiver.url()).status == 200
    assert not any(future.done() for future in hanging)


def test_no_host_gets_more_than_its_share(opened, receiver):
    egress = opened(ATTEMPT_TIMEOUT_S=60.0, HOST_IN_FLIGHT=2)
    receiver.behave("/hang", hang())
    hanging = [egress.submit(Request("POST", receiver.url("/hang"), [])) for _ in range(2)]
    receiver.wait(2, "/hang")
    with Receiver() as another:
        assert post(egress, another.url()).status == 200
    with pytest.raises(TryLater) as caught:
        post(egress, receiver.url())
    assert not caught.value.attempted and caught.value.after_s > 0
    assert not any(future.done() for future in hanging) and len(receiver.arrivals) == 2


def test_host_that_answers_nothing_is_left_alone(opened, receiver):
    egress = opened()
    receiver.behave("/", reset())
    assert {post(egress, receiver.url()).error for _ in range(breaker.UNANSWERED)} == {"broken"}
    with pytest.raises(TryLater) as caught:
        post(egress, receiver.url())
    assert not caught.value.attempted and len(receiver.arrivals) == breaker.UNANSWERED


def test_share_is_given_back_when_a_request_cannot_be_put_on_the_wire(opened, receiver):
    egress = opened(HOST_IN_FLIGHT=1)
    for _ in range(3):
        with pytest.raises(TypeError):
            post(egress, receiver.url(), body=object())
    assert post(egress, receiver.url()).status == 200


def test_many_requests_are_sent_at_once(opened, receiver):
    egress = opened(ATTEMPT_TIMEOUT_S=60.0, HOST_IN_FLIGHT=500)
    futures = [egress.submit(Request("POST", receiver.url(f"/{number}"), [])) for number in range(500)]
    assert {future.result(60).status for future in futures} == {200}
    assert len(receiver.arrivals) == 500


def test_close_cancels_what_is_under_way(receiver):
    egress = Egress(Config({"HOST": "127.0.0.1"}, {}))
    receiver.behave("/", slow(5))
    future = egress.submit(Request("POST", receiver.url(), []))
    receiver.wait(1)
    egress.close()
    with pytest.raises(CancelledError):
        future.result(0)
    with pytest.raises(RuntimeError):
        egress.submit(Request("POST", receiver.url(), []))


def test_close_rings_a_bell_that_the_thread_has_not_taken_away(receiver):
    egress = Egress(Config({"HOST": "127.0.0.1"}, {}))
    egress.submit(Request("POST", receiver.url(), [])).result(5)
    ring = egress._wake

    def late():
        egress._closed = True
        ring()
        egress._thread.join()  # it saw that it is to end before the bell rings
        ring()

    egress._wake = late
    egress.close()
    egress.close()


def test_works_under_gevent():
    """Where everything is patched, a turn of the loop must not stop the other greenlets."""
    script = """
from gevent import monkey; monkey.patch_all()
import sys, time, gevent
sys.path.insert(0, "tests")
from receiver import Receiver, slow
from fhirsub.config import Config
from fhirsub.delivery.egress import Egress, Request
with Receiver() as receiver:
    egress, ticks = Egress(Config({"HOST": "127.0.0.1"}, {})), []
    receiver.behave("/slow", slow(0.5))
    ticker = gevent.spawn(lambda: [(ticks.append(1), gevent.sleep(0.01)) for _ in range(1000)])
    late = egress.submit(Request("POST", receiver.url("/slow"), []))
    early = [egress.submit(Request("POST", receiver.url("/"), [])).result(5).status for _ in range(50)]
    print(early == [200] * 50, not late.done(), late.result(5).status, len(ticks) > 20)
    egress.close()
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60,
                          cwd=Path(__file__).parent.parent)
    assert done.stdout.strip() == "True True 200 True", done.stderr


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"
