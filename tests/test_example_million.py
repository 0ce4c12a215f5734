"""examples/million.py runs against a server."""
import subprocess
import sys
from pathlib import Path

from live import Live

EXAMPLE = Path(__file__).parent.parent / "examples" / "million.py"


def test_writes_are_shown_for_each_number_of_subscriptions(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path) as live:
        shown = subprocess.run([sys.executable, EXAMPLE, "20", "60", "--base", live.base], cwd=tmp_path,
                               capture_output=True, text=True, timeout=110)
    assert shown.returncode == 0 and "60 Subscriptions" in shown.stdout, shown.stdout + shown.stderr
