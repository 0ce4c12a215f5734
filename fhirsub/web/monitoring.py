"""Metrics for Prometheus, and routes that tell whether this process is alive and ready; no resource, no id, no name.

Spec: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import flask

from ..delivery import attempts, overview
from ..errors import StorageError
from ..store import changes
from .server import Server

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RECENT_S = 300


def blueprint(server: Server, outcomes: Mapping[str, int]) -> flask.Blueprint:
    """Routes at METRICS_PATH and below HEALTH_PATH; none where the setting is empty.

    :param outcomes: attempts of this process so far, by outcome
    """
    made, config = flask.Blueprint("fhirsub_monitoring", __name__), server.config

    def metrics() -> flask.Response:
        with server.database.read() as tx:
            lines = list(_lines(tx, server.now(), outcomes))
        return flask.Response("\n".join([*lines, ""]), content_type=CONTENT_TYPE)

    def ready() -> tuple[dict[str, Any], int]:
        with server.database.read() as tx:
            changes.is_pending(tx)
        return {"ready": True}, 200

    def live() -> dict[str, Any]:
        return {"live": True}

    if path := config.metrics_path.strip("/"):
        made.get(f"/{path}")(metrics)
    if path := config.health_path.strip("/"):
        made.get(f"/{path}/live")(live)
        made.get(f"/{path}/ready")(ready)
    made.register_error_handler(StorageError, lambda _: ({"ready": False, "why": "the database cannot be reached"}, 503))
    return made


def _lines(tx: Any, now: datetime, outcomes: Mapping[str, int]) -> Iterator[str]:
    totals = overview.totals(tx, now=now)
    lag_s = 0.0 if totals.oldest is None else max(0.0, (now - totals.oldest).total_seconds())
    recent = attempts.recent(tx, now - timedelta(seconds=RECENT_S))
    yield from _metric("fhirsub_changes_total", "counter", "changes recorded: writes, and events that were raised",
                       totals.changes)
    yield from _metric("fhirsub_events_total", "counter", "changes that matched a question", totals.events)
    yield from _metric("fhirsub_attempts_total", "counter", "attempts of this process", outcomes, "outcome")
    yield from _metric("fhirsub_attempts_recent", "gauge", f"attempts of all processes in the last {RECENT_S} s",
                       {error or "accepted": count for error, count in recent.items()}, "outcome")
    yield from _metric("fhirsub_subscriptions", "gauge", "Subscriptions", overview.statuses(tx), "status")
    yield from _metric("fhirsub_pending_changes", "gauge", "changes that are not matched yet", totals.pending)
    yield from _metric("fhirsub_due_subscriptions", "gauge", "subscriptions with something to send now", totals.due)
    yield from _metric("fhirsub_retrying_subscriptions", "gauge", "subscriptions that wait after a failed attempt",
                       totals.retrying)
    yield from _metric("fhirsub_lag_seconds", "gauge", "age of the oldest event that is still to be sent", lag_s)
    yield from _metric("fhirsub_matcher_held", "gauge", "1 while a process matches; 0 is trouble only with changes pending",
                       int(overview.matcher(tx, now=now) is not None))


def _metric(name: str, kind: str, meaning: str, value: Any, label: str = "") -> Iterator[str]:
    """A metric; a mapping gives a line for each value of ``label``."""
    yield f"# HELP {name} {meaning}"
    yield f"# TYPE {name} {kind}"
    if not label:
        yield f"{name} {value}"
    else:
        for key, count in sorted(value.items()):
            yield f'{name}{{{label}="{_escaped(key)}"}} {count}'


def _escaped(text: str) -> str:
    """A channel of a host application names classes of failures of its own."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
