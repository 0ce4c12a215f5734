"""A headless Chromium, driven by its DevTools protocol over a websocket.

Spec: https://chromedevtools.github.io/devtools-protocol/
"""
import base64
import itertools
import json
import shutil
import subprocess
import time

import requests
import websocket

FLAGS = ("--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
         "--disable-component-update --disable-sync --window-size=1000,700 --remote-debugging-port=0").split()
START_S = 30


def path():
    """Where Chromium is installed, None if it is not."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """One browser with one page, and a profile of its own in ``folder``."""

    def __init__(self, folder):
        self.process = subprocess.Popen([path(), *FLAGS, f"--user-data-dir={folder}", "about:blank"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        told = wait(lambda: (folder / "DevToolsActivePort").exists() and (folder / "DevToolsActivePort").read_text(), START_S)
        pages = requests.get(f"http://127.0.0.1:{told.split()[0]}/json/list", timeout=START_S).json()
        url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self.connection = websocket.create_connection(url, timeout=START_S, suppress_origin=True)
        self.numbers = itertools.count(1)

    def command(self, method, **parameters):
        """Send one DevTools command and return its result."""
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (answer := json.loads(self.connection.recv())).get("id") != number:
            pass  # an event
        return answer["result"]

    def open(self, url):
        self.command("Page.navigate", url=url)
        wait(lambda: self.run("document.readyState") == "complete" and self.run("location.href").startswith(url), START_S)

    def run(self, script):
        """The value of a JavaScript expression in the page."""
        result = self.command("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def screenshot(self, file):
        file.write_bytes(base64.b64decode(self.command("Page.captureScreenshot")["data"]))

    def close(self):
        self.connection.close()
        self.process.terminate()
        self.process.wait(10)


def wait(true, within_s=30):
    """What ``true`` returns once that is something."""
    end = time.monotonic() + within_s
    while not (value := true()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)
    return value
