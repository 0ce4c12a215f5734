"""What ``fhirsub serve`` and ``fhirsub worker`` log: lines of text, or JSON for programs, without any patient data.

Messages of this package name ids and classes of errors only. What an exception says may come from anywhere, such as a
host application's channel: its class and where it was raised are logged, its text never is.
"""
from __future__ import annotations

import logging
import re
import sys
import traceback
from datetime import datetime, timezone
from typing import TextIO

from .config import Config
from .fhir import json
from .fhir.instants import instant_text

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # a line break in a message would be another line


def configure(config: Config, stream: TextIO | None = None) -> logging.Handler:
    """Log as LOG_FORMAT and LOG_LEVEL say.

    Other packages log from WARNING on, whatever LOG_LEVEL says: below it the database's would show what is stored.

    :param stream: instead of stderr
    :returns: the handler, which has been added to the root logger
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json() if config.log_format == "json" else _Text())
    logging.getLogger().addHandler(handler)
    logging.getLogger(__package__).setLevel(config.log_level)
    return handler


class _Text(logging.Formatter):
    """``2024-05-01T12:00:00.000Z ERROR fhirsub.delivery.settlement what happened (KeyError at channel.py:12 send)``"""

    def format(self, record):
        error = _error(record)
        tail = f" ({error} at {' < '.join(reversed(_places(record)))})" if error else ""
        return _CONTROL.sub(" ", f"{_at(record)} {record.levelname} {record.name} {record.getMessage()}{tail}")


class _Json(logging.Formatter):
    """``{"at": "…", "level": "ERROR", "logger": "…", "message": "…", "error": "KeyError", "places": ["a.py:12 f"]}``"""

    def format(self, record):
        told = {"at": _at(record), "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if error := _error(record):
            told |= {"error": error, "places": _places(record)}
        return json.encode(told).decode()


def _at(record):
    return instant_text(datetime.fromtimestamp(record.created, timezone.utc))


def _error(record):
    return record.exc_info and record.exc_info[0] and record.exc_info[0].__qualname__


def _places(record):
    """Where it was raised, outermost call first."""
    frames = traceback.extract_tb(record.exc_info[2])
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
