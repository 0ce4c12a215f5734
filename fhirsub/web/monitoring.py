"""Metrics for Prometheus, and routes that tell whether this process is alive and ready; no resource, no id, no name.

Spec: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""
from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import flask

from ..config import Config
from ..delivery import attempts, overview
from ..errors import StorageError
from ..store import changes
from .server import Server

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
RECENT_S = 300

log = logging.getLogger(__name__)


def blueprint(server: Server, outcomes: Mapping[str, int]) -> flask.Blueprint:
    """Routes at METRICS_PATH and below HEALTH_PATH; none where the setting is empty.

    :param outcomes: attempts of this process so far, by outcome
    :raises ValueError: when it is registered, of an application that has a route at one of these paths
    """
    made, config = flask.Blueprint("fhirsub_monitoring", __name__), server.config
    made.record(lambda state: _refuse_taken(state.app, config))

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

    views = {"": metrics, "/live": live, "/ready": ready}
    for _, path, part in _paths(config):
        made.get(path + part)(views[part])
    away = {"ready": False, "why": "the database cannot be reached"}
    made.register_error_handler(StorageError, lambda _: (away, 503))
    return made


def warn(app: flask.Flask, config: Config) -> None:
    """Tell the log of routes that the application got later than ours, and that are not reached."""
    for taken in _taken(app, config):
        log.warning(taken)


def _refuse_taken(app: flask.Flask, config: Config) -> None:
    for taken in _taken(app, config):
        raise ValueError(taken)


def _taken(app: flask.Flask, config: Config) -> Iterator[str]:
    """Which settings ask for a path where the application has a route of its own: Flask serves the one it got first."""
    theirs = {rule.rule for rule in app.url_map.iter_rules()
              if "GET" in (rule.methods or ()) and not rule.endpoint.startswith("fhirsub_monitoring.")}
    for name, path, part in _paths(config):
        if path + part in theirs:
            yield (f"FHIRSUB_{name}: the application has a route at {path}{part} too, and only one of the two is "
                   "served; choose another path, or none")


def _paths(config: Config) -> Iterator[tuple[str, str, str]]:
    """``("HEALTH_PATH", "/health", "/live")``: setting, its path, and what follows it."""
    if path := config.metrics_path.strip("/"):
        yield "METRICS_PATH", f"/{path}", ""
    if path := config.health_path.strip("/"):
        yield "HEALTH_PATH", f"/{path}", "/live"
        yield "HEALTH_PATH", f"/{path}", "/ready"


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
    yield from _metric("fhirsub_matcher_held", "gauge",
                       "1 while a process matches; 0 is trouble only with changes pending",
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
