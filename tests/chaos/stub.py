"""A small server that delivers as badly as it is told to, so that the harness can be seen to notice.

    python stub.py FAULT PORT DATABASE
"""
from __future__ import annotations

import itertools
import json
import queue
import sqlite3
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

FAULTS = ("none", "queue in memory", "enqueue after the answer", "mark before send", "current version",
          "send before commit", "follow redirects", "no order")
LATER_S = 0.3
TABLES = ("CREATE TABLE IF NOT EXISTS version (seq INTEGER PRIMARY KEY, id TEXT, number INTEGER, body TEXT);"
          "CREATE TABLE IF NOT EXISTS endpoint (url TEXT); CREATE TABLE IF NOT EXISTS waiting (seq INTEGER, url TEXT)")


class Stub:
    """Keeps versions and what waits for each endpoint in SQLite, unless its fault is that it does not."""

    def __init__(self, fault, path):
        self.fault, self.lock, self.memory = fault, threading.RLock(), queue.Queue()
        self.writes = itertools.count(1)
        self.database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self.database.executescript(TABLES)
        threading.Thread(target=self.deliver, daemon=True).start()

    def ask(self, statement, *values):
        with self.lock:
            return self.database.execute(statement, values).fetchall()

    def write(self, id, resource):
        """Returns the status of the answer and the resource."""
        with self.lock:
            self.ask("BEGIN")
            number = self.ask("SELECT count(*) + 1 FROM version WHERE id = ?", id)[0][0]
            resource["meta"] = {"versionId": str(number)}
            seq = self.ask("INSERT INTO version (id, number, body) VALUES (?, ?, ?) RETURNING seq", id, number,
                           json.dumps(resource))[0][0]
            fails = self.fault == "send before commit" and next(self.writes) % 7 == 0
            self.announce(seq, resource)
            self.ask("ROLLBACK" if fails else "COMMIT")
        return (503, {}) if fails else (200, resource)

    def announce(self, seq, resource):
        if resource["status"] != "final":
            return
        if self.fault == "enqueue after the answer":
            threading.Timer(LATER_S, self.enqueue, (seq,)).start()
        elif self.fault == "send before commit":
            for url, in self.ask("SELECT url FROM endpoint"):
                self.memory.put((url, json.dumps(resource)))
        else:
            self.enqueue(seq)

    def enqueue(self, seq):
        for url, in self.ask("SELECT url FROM endpoint"):
            if self.fault == "queue in memory":
                self.memory.put((url, self.ask("SELECT body FROM version WHERE seq = ?", seq)[0][0]))
            else:
                self.ask("INSERT INTO waiting VALUES (?, ?)", seq, url)

    def deliver(self):
        while True:
            if self.fault in ("queue in memory", "send before commit"):
                self.send(*self.memory.get())
                continue
            order = "seq % 4, seq" if self.fault == "no order" else "seq"
            waiting = self.ask(f"SELECT seq, url FROM waiting ORDER BY {order} LIMIT 8")
            for seq, url in waiting:
                self.settle(seq, url)
            time.sleep(0.01 if waiting else 0.05)

    def settle(self, seq, url):
        if self.fault == "mark before send":
            self.ask("DELETE FROM waiting WHERE seq = ? AND url = ?", seq, url)
        self.send(url, self.body(seq))
        self.ask("DELETE FROM waiting WHERE seq = ? AND url = ?", seq, url)

    def body(self, seq):
        if self.fault == "current version":
            return self.ask("SELECT body FROM version WHERE id = (SELECT id FROM version WHERE seq = ?) "
                            "ORDER BY number DESC", seq)[0][0]
        return self.ask("SELECT body FROM version WHERE seq = ?", seq)[0][0]

    def send(self, url, body):
        """Try until it is accepted."""
        while True:
            try:
                if requests.post(url, body, allow_redirects=self.fault == "follow redirects", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.05)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        self.answer(*self.server.stub.write(self.path.rpartition("/")[2], self.sent()))

    def do_POST(self):
        self.server.stub.ask("INSERT INTO endpoint VALUES (?)", self.sent()["channel"]["endpoint"])
        self.answer(201, {})

    def do_GET(self):
        bodies = self.server.stub.ask("SELECT body FROM version")
        self.answer(200, {"entry": [{"resource": json.loads(body)} for body, in bodies], "link": []})

    def sent(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def answer(self, status, resource):
        body = json.dumps(resource).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main(fault, port, path):
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    server.stub = Stub(fault, path)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
