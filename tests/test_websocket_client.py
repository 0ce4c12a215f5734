"""examples/websocket_client.py against a real server that is killed under it."""
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from live import Client, Live

EXAMPLE = Path(__file__).parent.parent / "examples" / "websocket_client.py"
OBSERVATION = {"resourceType": "Observation", "status": "final", "code": {"coding": [{"code": "72166-2"}]}}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    folder = tmp_path_factory.mktemp("live")
    with Live(f"sqlite:///{folder}/fhirsub.db", folder) as running:
        yield running


def heed_sigint():
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell has what it starts in the background ignore it


@pytest.fixture
def example(live):
    """The lines that the example prints, without their times."""
    process = subprocess.Popen([sys.executable, EXAMPLE, "--base", live.base, "Observation?code=72166-2"],
                               stdout=subprocess.PIPE, text=True, preexec_fn=heed_sigint)
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def said(example):
    return example.stdout.readline().strip().partition(" ")[2]


def test_example_prints_pings_and_comes_back_after_a_kill(live, example):
    id = said(example).partition("/")[2].partition(" ")[0]
    assert said(example) == f"bound {id}"
    made = Client(live).create(OBSERVATION)
    assert said(example) == f"ping {id}"
    assert said(example) == f"newest: Observation/{made['id']} version 1"
    live.kill()
    assert said(example).startswith("lost the connection")
    live.start()
    made = Client(live).create(OBSERVATION)
    while (line := said(example)).startswith("lost the connection"):
        pass
    assert line == f"bound {id}"
    assert said(example) == f"ping {id}"
    assert said(example) == f"newest: Observation/{made['id']} version 1"


def test_example_deletes_its_subscription_when_it_is_stopped(live, example):
    id = said(example).partition("/")[2].partition(" ")[0]
    assert said(example) == f"bound {id}"
    example.send_signal(signal.SIGINT)
    assert example.wait(30) == 0
    assert Client(live).request("GET", f"Subscription/{id}")[0] == 410


def test_example_says_what_the_server_refuses(live):
    done = subprocess.run([sys.executable, EXAMPLE, "--base", live.base, "Observation?nonsense=1"],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("422: ") and "nonsense" in done.stderr


def test_example_ends_when_its_subscription_is_deleted(live, example):
    id = said(example).partition("/")[2].partition(" ")[0]
    assert said(example) == f"bound {id}"
    assert Client(live).request("DELETE", f"Subscription/{id}")[0] in (200, 204)
    assert example.wait(30) == 1
