"""Refuse references to resources that this server does not hold, where a setting asks for that.

Spec: https://hl7.org/fhir/R4/http.html#integrity
"""
from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ...errors import Unprocessable
from ...fhir import references
from ...store import versions
from ...store.versions import Name
from ..naming import named
from .writing import Write

_LOCAL = re.compile(r"([A-Z][A-Za-z]+)/([A-Za-z0-9.-]{1,64})(?:/_history/[^/]+)?")


def check_targets(tx: Any, writes: list[Write], known: frozenset[str]) -> None:
    """Look up the literal references below the base; references elsewhere are not this server's to judge.

    :param known: references that need no look-up
    :raises Unprocessable: names the first reference whose target is not there
    """
    named_by = [(write, value, name) for write in writes if write.resource is not None
                for value, name in _local(write) if "/".join(name) not in known]
    existing = {(type, id) for type, ids in versions.by_type({name for _, _, name in named_by}).items()
                for id, version in versions.current_of(tx, type, ids).items() if not version.deleted}
    for write, value, name in named_by:
        if name not in existing:
            with named(write.request):
                raise Unprocessable(f"the reference {value!r} leads nowhere: this server holds no such resource, "
                                    "and REFERENCES_MUST_EXIST is on", code="not-found")


def _local(write: Write) -> Iterator[tuple[str, Name]]:
    for value in references.references(write.resource):
        if local := _LOCAL.fullmatch(references.relative(value, write.request.base_url)):
            yield value, (local[1], local[2])
