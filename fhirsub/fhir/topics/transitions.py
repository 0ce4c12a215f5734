"""How a change stands to a question: the resource begins to match it, still does, no longer does, or is deleted."""
from __future__ import annotations

from ...errors import Unprocessable
from ..extensions import TRANSITIONS

ENTER, UPDATE, LEAVE, DELETE = ALL = ("enter", "update", "leave", "delete")


def transition(before: bool, now: bool, interaction: str) -> str | None:
    """Which one it is; None if neither version matches.

    :param before: the version before matched
    :param now: the version just written does
    """
    if now:
        return UPDATE if before else ENTER
    if not before:
        return None
    return DELETE if interaction == "delete" else LEAVE


def read(resource: dict) -> frozenset[str]:
    """Those that a Subscription or EventDefinition names in its extensions; none: it does not tell them apart.

    :raises Unprocessable: one that there is not
    """
    found = set()
    for index, extension in enumerate(resource.get("extension", ())):
        if extension.get("url") == TRANSITIONS:
            where = f"{resource['resourceType']}.extension[{index}].valueCode"
            if extension.get("valueCode") not in ALL:
                raise Unprocessable(f"{where}: expected {', '.join(ALL)}; got {extension.get('valueCode')!r}",
                                    expression=where)
            found.add(extension["valueCode"])
    return frozenset(found)
