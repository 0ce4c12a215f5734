"""When a periodic trigger is due.

Spec: https://hl7.org/fhir/R4/triggerdefinition.html, https://hl7.org/fhir/R4/datatypes.html#Timing
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...errors import Unprocessable
from . import recurrence
from .recurrence import moment


def check(timing: Any, where: str) -> None:
    """Refuse a timing that this server would not keep to the letter.

    :param timing: ``TriggerDefinition.timing[x]``: a Timing, or the text of a date or dateTime
    :param where: ``EventDefinition.trigger[0].timingTiming``
    :raises Unprocessable: names the element, what was found and what would do
    """
    if isinstance(timing, str):
        moment(timing, where)
        return
    if "reference" in timing or "identifier" in timing:
        raise Unprocessable(f"{where}: this server follows no Schedule; say when as timingTiming, timingDate or "
                            "timingDateTime", expression=where, code="not-supported")
    for name in ("code", "modifierExtension"):
        if name in timing:
            raise Unprocessable(f"{where}.{name}: this server does not evaluate it; say when as event or repeat",
                                expression=f"{where}.{name}", code="not-supported")
    for index, text in enumerate(timing.get("event", ())):
        moment(text, f"{where}.event[{index}]")
    if "repeat" in timing:
        recurrence.read(timing["repeat"], f"{where}.repeat")
    elif not timing.get("event"):
        raise Unprocessable(f"{where}: it says no time; give event or repeat", expression=where, code="required")


def next_due(timing: Any, after: datetime) -> datetime | None:
    """The first time after ``after`` at which a trigger is due, None if there is none any more.

    It depends on nothing else, so every process finds the same times, and so does one that was away for long.

    :param timing: as it passed :func:`check`
    :param after: aware; what is due at this very time is over
    """
    if isinstance(timing, str):
        timing = {"event": [timing]}
    times = [due for due in map(moment, timing.get("event", ())) if due > after]
    if "repeat" in timing:
        repeated = recurrence.read(timing["repeat"]).next_due(after)
        times += [repeated] if repeated else []
    return min(times, default=None)
