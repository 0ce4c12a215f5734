import subprocess
import sys
from pathlib import Path

from live import Live

EXAMPLE = Path(__file__).parent.parent / "examples" / "adt_streams.py"


def test_all_streams_tell_what_they_should(postgresql_url, tmp_path):
    with Live(postgresql_url, tmp_path) as live:
        played = subprocess.run([sys.executable, EXAMPLE, "--base", live.base], cwd=tmp_path, capture_output=True,
                                text=True, timeout=100)
    assert played.returncode == 0 and "11 of 11 scenarios" in played.stdout, played.stdout + played.stderr
