"""Refuse references to resources that this server does not hold, where a setting asks for that.

Spec: https://hl7.org/fhir/R4/http.html#integrity
"""
from __future__ import annotations

import re
from typing import Any

from ...errors import Unprocessable
from ...fhir import references
from ...store import versions

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")


def check_targets(tx: Any, resource: dict, known: frozenset[str], base_url: str) -> None:
    """Look up each literal reference below the base; references elsewhere are not this server's to judge.

    :param known: references that need no look-up
    :raises Unprocessable: names the first reference whose target is not there
    """
    for value in references.references(resource):
        local = _LOCAL.fullmatch(references.relative(value, base_url))
        if local and f"{local[1]}/{local[2]}" not in known:
            target = versions.current(tx, local[1], local[2])
            if target is None or target.deleted:
                raise Unprocessable(f"the reference {value!r} leads nowhere: this server holds no such resource, "
                                    "and REFERENCES_MUST_EXIST is on", code="not-found")
