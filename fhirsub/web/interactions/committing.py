"""One transaction for one write, or for all those of a transaction Bundle.

Spec: https://hl7.org/fhir/R4/http.html#trules
"""
from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import groupby
from typing import Any, TypeVar

from ...errors import BadRequest, Conflict, Deadlock
from ...fhir.criteria import Criteria
from ...store import holding
from ...store.database import claim
from ...store.terminology import Expansions
from ..naming import named
from ..request import Request, Response
from ..server import Server
from .conditions import matches
from .storing import store
from .writing import Overtaken, Write

ATTEMPTS = 10    # each is lost only to another write of the same resource that went through

Prepared = TypeVar("Prepared")
Result = TypeVar("Result")


def write(server: Server, request: Request, interaction: type[Write]) -> Response:
    """Carry out one write in a transaction of its own."""
    def alone(tx: Any, prepared: Write) -> Response:
        hold(tx, [prepared])
        run(tx, [prepared], server.now())
        return prepared.answer()

    return commit(server, lambda: interaction(server, request), alone)


def commit(server: Server, prepare: Callable[[], Prepared], run: Callable[[Any, Prepared], Result]) -> Result:
    """Prepare outside a transaction and run inside one, again as long as another write comes between.

    :raises Conflict: others were quicker ``ATTEMPTS`` times
    """
    for _ in range(ATTEMPTS):
        prepared = prepare()
        try:
            with server.database.write() as tx:
                return run(tx, prepared)
        except (Overtaken, Deadlock):   # seldom: nearly everybody locks in one order
            continue
    raise Conflict(f"others changed the resource while this write was under way, {ATTEMPTS} times; try again")


def hold(tx: Any, writes: list[Write]) -> None:
    """Decide which resource each write is about, and lock them all.

    Names and rows are taken in one order by every transaction, so that no two wait for each other.

    :raises BadRequest: two of the writes are about one resource
    """
    claim(tx, *(write.condition.canonical() for write in writes if write.condition))
    earlier: list[Write] = []
    for write in sorted(writes, key=lambda write: write.turn):
        if write.condition:
            with named(write.request):
                write.select(selected(tx, write.condition, earlier))
        earlier.append(write)
    _refuse_overlap(writes)
    locking = [write for write in writes if write.locks]
    current = holding.hold(tx, [write.name for write in locking])
    for write in locking:
        write.locked(tx, current.get(write.name))


def run(tx: Any, writes: list[Write], now: datetime) -> None:
    """Carry out what :func:`hold` holds, turn by turn; nothing is stored between the writes of one.

    :raises FHIRSubError: one of them failed, and is named
    """
    known = frozenset(write.reference for write in writes if write.resource is not None)
    in_order = sorted(writes, key=lambda write: write.turn)
    for _, together in groupby(in_order, key=lambda write: (write.turn, write.alone and write.reference)):
        due = []
        for write in together:
            with named(write.request):
                due += [write] if write.run(tx, now) else []
        store(tx, due, now, known)


def selected(tx: Any, criteria: Criteria, earlier: list[Write]) -> list[str]:
    """The ids that ``criteria`` selects once the ``earlier`` writes of its transaction are done; they are not yet."""
    others = [write for write in earlier if write.type == criteria.type and write.changes]
    touched = {write.id for write in others}
    stored = [id for id in matches(tx, criteria, 2 + len(touched)) if id not in touched]
    if others:
        criteria = criteria.bind(Expansions(tx))
    return stored + [write.id for write in others if write.resource is not None and criteria.test(write.values)]


def _refuse_overlap(writes: list[Write]) -> None:
    seen: set[str] = set()
    for write in writes:
        if write.changes and write.reference in seen:
            with named(write.request):
                raise BadRequest(f"another entry writes {write.reference} too; a transaction may write each resource "
                                 "once", code="duplicate")
        if write.changes:
            seen.add(write.reference)
