"""The versions that the writes of a transaction add, all at once: for a thousand, statements are what takes time.

Spec: https://hl7.org/fhir/R4/http.html#trules
"""
from __future__ import annotations

from datetime import datetime
from typing import Any

from ...store import versions
from ...store.versions import Version
from ..naming import named
from .targets import check_targets
from .writing import Write


def store(tx: Any, writes: list[Write], now: datetime, known: frozenset[str]) -> None:
    """Write the next version of each resource, in order, which is then the write's ``version``.

    :param writes: of one server and base URL; none looks at what another one stores
    :param known: references such as ``Patient/1`` that will exist when the transaction ends
    :raises FHIRSubError: the settings or a door refuse one, which is named
    """
    if not writes:
        return
    server, request = writes[0].server, writes[0].request
    if server.config.references_must_exist:
        check_targets(tx, writes, known)
    _admit(tx, writes, now)
    storing = [write for write in writes if write.resource is not None]
    deleting = [write for write in writes if write.resource is None]
    _written(storing, versions.write_all(tx, [write.resource for write in storing], now=now, base_url=request.base_url,
                                         hops=request.hops))
    _written(deleting, versions.delete_all(tx, [write.name for write in deleting], now=now, hops=request.hops))


def _admit(tx: Any, writes: list[Write], now: datetime) -> None:
    server = writes[0].server
    for resource_type, door in server.doors.items():
        through = [write for write in writes if write.type == resource_type]
        if not through:
            continue
        with door.admitting(tx, [write.id for write in through], now=now, config=server.config,
                            base_url=through[0].request.base_url) as admit:
            for write in through:
                with named(write.request):
                    write.resource = admit(write.resource, write.current.resource if write.exists else None)


def _written(writes: list[Write], written: list[Version]) -> None:
    for write, version in zip(writes, written, strict=True):
        write.version = version
