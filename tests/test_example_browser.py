"""examples/browser in a real browser: headless Chromium."""
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import requests

import chromium
from chromium import wait
from live import free_port

SERVE = Path(__file__).parent.parent / "examples" / "browser" / "serve.py"

pytestmark = pytest.mark.skipif(not chromium.path(), reason="Chromium is not installed (.ci/chromium installs it)")


class Served:
    """The example's server on a port that stays the same over restarts."""

    def __init__(self, database, folder):
        self.database, self.folder, self.port = database, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self):
        self.process = subprocess.Popen([sys.executable, SERVE, "--port", str(self.port), "--database", self.database],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
        wait(self._answers, 30)

    def _answers(self):
        try:
            return requests.get(self.url, timeout=1).ok
        except requests.ConnectionError:
            return False

    def stop(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def served(sqlite_template, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    shutil.copy(sqlite_template, folder / "fhirsub.db")
    served = Served(f"sqlite:///{folder}/fhirsub.db", folder)
    served.start()
    yield served
    served.stop()


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = chromium.Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def page(served, browser, tmp_path):
    """The page of somebody who has never been here."""
    browser.open(served.url)
    browser.run("localStorage.clear()")
    browser.open(served.url)
    yield browser
    browser.screenshot(tmp_path / "page.png")


def cells(page):
    """The table's rows: ``[[criteria, id, state, pings, last ping], …]``."""
    return page.run("[...document.querySelectorAll('#subscriptions tr')]"
                    ".map(row => [...row.cells].slice(0, 5).map(cell => cell.textContent))")


def subscribe(page, criteria):
    page.run(f"document.getElementById('criteria').value = {criteria!r}; document.forms[0].requestSubmit()")


def bound(page):
    """Wait until every row is bound, and return the rows."""
    return wait(lambda: (rows := cells(page)) and all(row[2] == "bound" for row in rows) and rows)


def write(page):
    page.run("document.getElementById('write').click()")


def test_page_binds_several_and_shows_each_ping(page):
    subscribe(page, "Observation?code=http://loinc.org|72166-2")
    bound(page)
    subscribe(page, "Observation?code=http://loinc.org|8867-4")
    wait(lambda: len(cells(page)) == 2)
    bound(page)
    write(page)
    wait(lambda: [row[3] for row in cells(page)] == ["1", "0"])
    write(page)
    wait(lambda: [row[3] for row in cells(page)] == ["2", "0"])


def test_page_shows_what_the_server_refuses(page):
    subscribe(page, "Observation?nonsense=1")
    assert "nonsense" in wait(lambda: page.run("document.getElementById('problem').textContent"))
    assert cells(page) == []


def test_page_binds_again_after_a_reload_and_a_restart_and_shows_what_was_missed(page, served):
    subscribe(page, "Observation?code=http://loinc.org|72166-2")
    id = bound(page)[0][1]
    page.open(served.url)
    assert bound(page)[0][1] == id
    served.stop()
    wait(lambda: cells(page)[0][2] == "not bound")
    served.start()
    observation = {"resourceType": "Observation", "status": "final",
                   "code": {"coding": [{"system": "http://loinc.org", "code": "72166-2"}]}}
    requests.post(f"{served.url}fhir/Observation", json=observation, timeout=30).raise_for_status()
    wait(lambda: cells(page)[0][2:4] == ["bound", "1"], 30)


def test_page_deletes_a_subscription(page, served):
    subscribe(page, "Observation?code=http://loinc.org|72166-2")
    id = bound(page)[0][1]
    page.run("document.querySelector('#subscriptions button').click()")
    wait(lambda: cells(page) == [])
    assert requests.get(f"{served.url}fhir/Subscription/{id}", timeout=30).status_code == 410


def test_page_shows_that_a_subscription_was_switched_off_elsewhere(page, served):
    subscribe(page, "Observation?code=http://loinc.org|72166-2")
    id = bound(page)[0][1]
    requests.delete(f"{served.url}fhir/Subscription/{id}", timeout=30)
    wait(lambda: cells(page)[0][2] == "off")
    assert page.run("localStorage.subscriptions") == "[]"
