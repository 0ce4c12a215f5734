"""The commands as a person uses them."""
import os
import subprocess

import pytest
from live import FHIRSUB, Client, Live, free_port, observation, subscription
from receiver import Receiver


def run(*arguments, folder, **environ):
    return subprocess.run([FHIRSUB, *arguments], cwd=folder, env=os.environ | environ, capture_output=True, text=True,
                          timeout=60)


def test_serve_says_where_and_stops_on_sigterm(live_url, tmp_path):
    with Live(live_url, tmp_path) as live:
        assert live.base in live.line and live.websocket_url in live.line and "database" in live.line
        assert Client(live).request("GET", "metadata")[0] == 200
        assert live.stop() == 0


def test_start_line_hides_the_password(tmp_path, postgresql_url):
    with Live(postgresql_url.replace("postgres:@", "postgres:hush@"), tmp_path) as live:
        assert "hush" not in live.line


def test_worker_beside_web_processes_matches_and_delivers(postgresql_url, tmp_path):
    web = [Live(postgresql_url, tmp_path, WORKERS="off") for _ in range(2)]
    worker = Live(postgresql_url, tmp_path, HOST="127.0.0.1")
    with Receiver() as receiver, web[0], web[1]:
        Client(web[0]).create(subscription("Observation", type="rest-hook", endpoint=receiver.url("/w")))
        Client(web[1]).create(observation())
        try:
            worker.start("worker")
            assert receiver.wait(1, "/w")[0].method == "POST"
            assert worker.stop() == 0
        finally:
            if worker.process.poll() is None:
                worker.kill()


def test_taken_port_is_named(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path) as live:
        failed = run("serve", "--port", str(live.port), "--database", sqlite_url, folder=tmp_path)
    assert failed.returncode == 1 and f"cannot listen on 127.0.0.1:{live.port}" in failed.stderr
    assert "Traceback" not in failed.stderr


@pytest.mark.parametrize("url, words", [("mysql://x/y", "sqlite:///path or postgresql://"),
                                        ("sqlite://", "a file"), ("nonsense", "sqlite:///path or postgresql://"),
                                        ("postgresql://x/y?sslmood=off", 'FHIRSUB_DATABASE: invalid connection option "sslmood"')])
def test_unusable_database_is_misuse(url, words, tmp_path):
    failed = run("migrate", "--database", url, folder=tmp_path)
    assert failed.returncode == 2 and words in failed.stderr and "Traceback" not in failed.stderr


def test_unreachable_database_is_a_failure(tmp_path):
    failed = run("migrate", "--database", f"postgresql://me@127.0.0.1:{free_port()}/x", folder=tmp_path)
    assert failed.returncode == 1 and "Traceback" not in failed.stderr


def test_setting_of_wrong_kind_is_misuse(tmp_path):
    failed = run("serve", folder=tmp_path, FHIRSUB_PORT="eighty")
    assert failed.returncode == 2 and "FHIRSUB_PORT: expected a whole number" in failed.stderr


def test_port_that_there_is_not_is_misuse(sqlite_url, tmp_path):
    failed = run("serve", "--port", "99999", "--database", sqlite_url, folder=tmp_path)
    assert failed.returncode == 2 and "FHIRSUB_PORT: expected a port from 0 to 65535" in failed.stderr
    assert "Traceback" not in failed.stderr


def test_unknown_resource_type_is_misuse(sqlite_url, tmp_path):
    failed = run("serve", "--port", "0", "--database", sqlite_url, folder=tmp_path, FHIRSUB_RESOURCE_TYPES="Patientt")
    assert failed.returncode == 2 and "'Patientt' is no R4 resource type" in failed.stderr


def test_start_line_tells_where_the_websocket_is(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path, WEBSOCKET_PATH="socket/") as live:
        [told] = Client(live).request("GET", "metadata")[1]["rest"][0]["extension"][:1]
        assert f"websocket {told['valueUri']}," in live.line and told["valueUri"].endswith("/fhir/socket")


def test_public_bind_refuses_loopback_endpoints(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path, HOST="0.0.0.0") as live:
        status, outcome = Client(live).request("POST", "Subscription", subscription(
            "Observation", type="rest-hook", endpoint="http://127.0.0.1:9000/hook"))
    assert status == 422 and outcome["issue"][0]["expression"] == ["Subscription.channel.endpoint"]
    with Live(sqlite_url, tmp_path, HOST="0.0.0.0", ALLOWED_NETWORKS="127.0.0.0/8") as live:
        status, _ = Client(live).request("POST", "Subscription", subscription(
            "Observation", type="rest-hook", endpoint="http://127.0.0.1:9000/hook"))
    assert status == 201
