"""``fhirsub status``: how the pipeline stands, as a table for people and as JSON for programs."""
from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime, timezone

import click

from .config import Config
from .delivery import overview
from .errors import StorageError
from .fhir import json
from .fhir.instants import instant_text
from .store import migrate
from .store.database import Database

SHOWN = 50  # Subscriptions in the table; JSON has all


def status(database: Database, *, now: datetime) -> dict:
    """What there is to tell::

        {"at": "2024-05-01T12:00:00.000Z", "matcher": "host/…" or None, "pendingChanges": 0,
         "oldestUndelivered": "…" or None, "subscriptions": {"active": 3, "error": 1},
         "standings": [{"id": "…", "status": "error", "error": "…", "waiting": 4, "parked": 0, "failedAttempts": 2,
                        "underWay": False, "nextAttempt": "…" or None, "lagSeconds": 61.0}]}
    """
    with database.read() as tx:
        totals = overview.totals(tx, now=now)
        return {
            "at": instant_text(now), "matcher": overview.matcher(tx, now=now), "pendingChanges": totals.pending,
            "oldestUndelivered": totals.oldest and instant_text(totals.oldest),
            "subscriptions": dict(sorted(overview.statuses(tx).items())),
            "standings": [_standing(one, now) for one in overview.standings(tx)]}


def show(settings: Mapping, *, as_json: bool) -> None:
    """Print the status of the database that the settings name; it is not migrated and nothing is written.

    :raises ValueError: a setting is wrong
    :raises StorageError: the database is unreachable, or has no tables, or not those of this version
    """
    config = Config(settings)
    database = Database(config.database, config.connections)
    try:
        if database.dialect == "sqlite" and not os.path.exists(database.engine.url.database):
            raise StorageError(f"{database.shown} does not exist; fhirsub migrate makes it")  # as reading it would
        with database.read() as tx:
            migrate.check(database, tx)
        found = status(database, now=datetime.now(timezone.utc))
    finally:
        database.dispose()
    click.echo(json.encode(found).decode() if as_json else table(found))


def table(found: dict) -> str:
    """``found`` of :func:`status` as lines of text."""
    counts = ", ".join(f"{count} {name}" for name, count in found["subscriptions"].items()) or "none"
    rows = [("SUBSCRIPTION", "STATUS", "WAITING", "PARKED", "LAG", "FAILED", "NEXT ATTEMPT", "ERROR")]
    rows += [_row(one) for one in found["standings"][:SHOWN]]
    idle = "nobody holds the lease" if found["pendingChanges"] else "idle"  # whoever runs takes it for the next change
    lines = [f"subscriptions       {counts}", f"matcher             {found['matcher'] or idle}",
             f"pending changes     {found['pendingChanges']}",
             f"oldest undelivered  {found['oldestUndelivered'] or 'none'}"]
    if len(rows) > 1:
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        lines += ["", *("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)]
    if len(found["standings"]) > SHOWN:
        lines.append(f"… and {len(found['standings']) - SHOWN} more; --json shows all")
    return "\n".join(lines)


def _standing(one: overview.Standing, now: datetime) -> dict:
    return {"id": one.id, "status": one.status, "error": one.error, "waiting": one.waiting, "parked": one.parked,
            "failedAttempts": one.attempts, "underWay": one.under_way,
            "nextAttempt": one.due_at and instant_text(one.due_at),
            "lagSeconds": one.oldest and round((now - one.oldest).total_seconds(), 3)}


def _row(one: dict) -> tuple[str, ...]:
    lag = "" if one["lagSeconds"] is None else f"{one['lagSeconds']:.0f} s"
    next_attempt = "under way" if one["underWay"] else one["nextAttempt"] or ""
    return (one["id"], one["status"], str(one["waiting"]), str(one["parked"]), lag, str(one["failedAttempts"]),
            next_attempt, one["error"] or "")
