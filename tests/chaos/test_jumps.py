"""A clock that jumps: nothing is lost, nothing comes in another order, nothing waits longer than a retry."""
import sys
from pathlib import Path

import pytest
from live import Live
from receiver import status

HOUR_S, TEN_YEARS_S = 3600, 10 * 365 * 86400
chaos = pytest.mark.chaos


@pytest.mark.parametrize("jump_s", [
    pytest.param(HOUR_S, marks=chaos), -HOUR_S, pytest.param(-2 * HOUR_S, marks=chaos),
    pytest.param(TEN_YEARS_S, marks=chaos)])
def test_clock_jumps(trial, live_url, tmp_path, monkeypatch, jump_s):  # F18
    monkeypatch.setenv("CLOCK_SHIFT", str(tmp_path / "shift"))
    monkeypatch.setattr(Live, "program", (sys.executable, Path(__file__).with_name("shifted.py")))
    t = trial(live_url)
    # One that fails is off when its events are older than MAX_BACKLOG_DAYS, and that is what they seem to be then.
    t.subscribe("/a", *["/flaky"] * (jump_s < TEN_YEARS_S))
    t.receiver.behave("/flaky", *[status(503), status(200)] * 10)
    writers = t.write(40, per_second=40)
    writers.wait(20)
    (tmp_path / "shift").write_text(str(jump_s))
    writers.join()
    t.wait(lambda: all(t.accepted(path) >= 32 for path in t.paths), "nothing waits for the clock", timeout_s=45)
    t.finish(f"F18 clock {jump_s:+} s")
