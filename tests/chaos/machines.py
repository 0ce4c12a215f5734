"""The processes of a server: web processes and workers on one database, to be killed, frozen and started again."""
from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

from live import Client, Live
from sqlalchemy import func, select

from fhirsub.store.database import Database
from fhirsub.store.tables import change, subscription

# Long enough for a slow machine to write a backlog that is refused meanwhile.
FAST = {"HOST": "127.0.0.1", "RETRY_SCHEDULE_S": "0.2 0.5" + " 1" * 900, "RETRY_FLOOR_S": "0.2"}
ESCAPED_S = 0.4  # what was on its way when its sender was killed has arrived by then


class Machines:
    """Web processes, and workers beside them; without any, the web processes deliver themselves.

    :param folder: where they run; takes their log
    :ivar down: ``[(from, to), …]``, when none of them ran
    """

    def __init__(self, database, folder, *, web=1, workers=0, **settings):
        settings = FAST | ({"WORKERS": "off"} if workers else {}) | settings
        self.folder, self.database, self.down = folder, Database(database), []
        self.webs = [Live(database, folder, **settings) for _ in range(web)]
        self.workers = [Live(database, folder, **settings) for _ in range(workers)]

    @property
    def all(self):
        return self.webs + self.workers

    def start(self, *lives):
        """Start these, or all; returns when each serves."""
        lives = list(lives or self.all)
        self._start(lives.pop(0))  # the first migrates
        with ThreadPoolExecutor(len(lives) or 1) as pool:
            list(pool.map(self._start, lives))

    def kill(self, *lives):
        """kill -9 of the process groups of these, or of all."""
        for live in lives or self.all:
            live.kill()
            assert not _group(live.process.pid), "a process has escaped the kill"

    def restart(self, pause_s=ESCAPED_S):
        """kill -9 of everything, and after a pause start it again."""
        self.kill()
        killed = time.monotonic()
        time.sleep(pause_s)
        self.down.append((killed + ESCAPED_S, time.monotonic()))
        self.start()

    def idle(self):
        """Whether everything committed is matched, and nothing is due or under way."""
        with self.database.read() as tx:
            waiting = tx.execute(select(func.count()).where(~change.c.matched)).scalar()
            due = tx.execute(select(func.count()).where(subscription.c.due_at.is_not(None))).scalar()
        return not waiting and not due

    def committed(self):
        """``{"o1-0-7/2": resource}``, all versions of Observations."""
        client, found, path = Client(self.webs[0]), {}, "Observation/_history?_count=1000"
        while path:
            status, page = client.request("GET", path)
            assert status == 200, page
            for entry in page.get("entry", ()):
                found[f"{entry['resource']['id']}/{entry['resource']['meta']['versionId']}"] = entry["resource"]
            path = next((link["url"].split("/fhir/")[1] for link in page["link"] if link["relation"] == "next"), None)
        return found

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for live in self.all:
            if live.process and live.process.poll() is None:
                os.killpg(live.process.pid, signal.SIGCONT)
                live.kill()
        self.database.dispose()

    def _start(self, live):
        with open(self.folder / "log", "a") as live.log:
            live.start("worker" if live in self.workers else "serve")


def _group(pid):
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True
