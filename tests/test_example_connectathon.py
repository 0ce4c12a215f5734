import subprocess
import sys
from pathlib import Path


def test_all_seven_scenarios_succeed(tmp_path):
    example = Path(__file__).parent.parent / "examples" / "connectathon.py"
    played = subprocess.run([sys.executable, example], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert played.returncode == 0 and "7 of 7 scenarios" in played.stdout, played.stdout + played.stderr
