"""How many streams in the index need what of a change, so that a change is not asked for more than somebody needs."""
from __future__ import annotations

from collections import Counter

from sqlalchemy import bindparam, delete, insert, update

from ..fhir import json
from ..store.tables import need, stream


def count_needs(tx, row, needs):
    """Count what a stream needs from now on instead of what was counted for it.

    Only the matcher calls this, so that no two count at the same time.

    :param row: of ``stream``, with ``id`` and the ``needs`` that are counted
    :param needs: as :meth:`~fhirsub.fhir.topics.Question.needs` tells them: ``{"Encounter previous", …}``
    """
    counted = set(json.decode(row.needs)) if row.needs else set()
    if needs == counted:
        return
    add_needs(tx, needs - counted)
    for name in counted - needs:
        _count(tx, name, -1)
    tx.execute(update(stream).where(stream.c.id == row.id).values(needs=needs_text(needs)))


def add_needs(tx, names):
    """Count what new streams need; a name may be there as often as there are streams."""
    for name, streams in sorted(Counter(names).items()):
        _count(tx, name, streams)


def needs_text(needs):
    """How a stream remembers what is counted for it."""
    return json.encode(sorted(needs)).decode() if needs else None


def _count(tx, name, step):
    type, _, what = name.partition(" ")
    if not tx.execute(_ADD, {"of_type": type, "of": what, "step": step}).rowcount:
        tx.execute(insert(need).values(type=type, name=what, streams=step))
    if step < 0:
        tx.execute(_FORGET, {"of_type": type, "of": what})


_THIS = (need.c.type == bindparam("of_type"), need.c.name == bindparam("of"))
_ADD = update(need).where(*_THIS).values(streams=need.c.streams + bindparam("step"))
_FORGET = delete(need).where(*_THIS, need.c.streams <= 0)
