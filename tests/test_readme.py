"""The README tells the truth: its settings are the settings, its curl story goes as told, its Python runs."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from live import Live
from receiver import Receiver

from fhirsub.config import SETTINGS, Config

README = (Path(__file__).parent.parent / "README.rst").read_text()


def blocks(language):
    found = re.findall(rf"^\.\. code-block:: {language}\n\n((?:    .*\n|\n)+)", README, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in found]


def settings_table():
    """The table as it has to stand in the README."""
    rows = [".. list-table::", "   :header-rows: 1", "", "   * - name", "     - default", "     - unit", "     - meaning"]
    for setting in SETTINGS:
        default = {True: "on", False: "off", "": ""}.get(setting.default, setting.default)
        rows += [f"   * - ``{setting.name}``", f"     - {default}".rstrip(), f"     - {setting.unit}",
                 f"     - {setting.meaning}"]
    return "\n".join(rows)


def test_settings_table_is_the_settings():
    told = README.split(".. settings begin\n")[1].split(".. settings end")[0].strip("\n")
    assert told == settings_table(), f"put this between the settings marks:\n\n{settings_table()}"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_curl_story_ends_with_the_notification(sqlite_url, tmp_path):
    with Live(sqlite_url, tmp_path) as live, Receiver() as receiver:
        for block in blocks("bash"):
            command = block.replace("http://127.0.0.1:8080/fhir", live.base).replace(
                "http://127.0.0.1:9000", receiver.url(""))
            answer = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
            assert '"id"' in answer, answer
        arrival, event = receiver.wait(1, "/labs")[0], receiver.wait(1, "/arrivals")[0]
    assert arrival.method == "POST" and arrival.headers["authorization"] == "Bearer not-shown"
    assert b'"value":7.20' in arrival.body
    assert arrival.headers["webhook-id"] == "evt-1-1" and arrival.headers["x-fhir-event-number"] == "1"
    assert event.headers["x-fhir-topic"] == "patient-arrival" and b'"id":"visit"' in event.body


def test_python_blocks_compile():
    for block in blocks("python"):
        compile(block, "README.rst", "exec")


def test_setting_of_wrong_kind_is_named():
    with pytest.raises(ValueError, match="FHIRSUB_PORT: expected a whole number"):
        Config({"PORT": "eighty"}, {})
    with pytest.raises(ValueError, match="unknown setting FHIRSUB_PROT"):
        Config({"PROT": 1}, {})


@pytest.mark.parametrize("name, value, wanted", [
    ("MATCH_BATCH", 0, "above 0"), ("IN_FLIGHT", "-3", "above 0"), ("LEASE_S", "nan", "above 0"),
    ("SWEEP_S", "inf", "above 0"), ("EVENT_DAYS", -1, "of at least 0"),
    ("EVENT_DAYS", 1_000_000, "of at most 36525 "), ("LEASE_S", 1e12, "of at most 3155760000 ")])
def test_number_that_would_stop_the_server_is_refused(name, value, wanted):
    with pytest.raises(ValueError, match=f"FHIRSUB_{name}: expected a number {wanted}"):
        Config({name: value}, {})


def test_zero_is_taken_where_it_has_a_meaning():
    config = Config({"PORT": 0, "EVENT_DAYS": 0, "HOST_RATE": "0"}, {})
    assert (config.port, config.event_days, config.host_rate) == (0, 0, 0)


def test_environment_and_flask_config_are_read():
    config = Config.of_flask({"FHIRSUB_PORT": 90}, given={"HOST": "::1"}, environ={"FHIRSUB_WORKERS": "off"})
    assert (config.host, config.port, config.workers) == ("::1", 90, False)
