"""Holding resources, whether they exist or not: nobody else writes them before the transaction ends.

Spec: https://www.postgresql.org/docs/15/explicit-locking.html
"""
from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, Select, bindparam, select

from . import versions
from .database import claim
from .sets import within
from .tables import resource
from .versions import Name, Version


def hold(tx: Connection, names: Collection[Name]) -> dict[Name, Version]:
    """The newest versions of several resources, which nobody else can replace before ``tx`` ends.

    Those that never were are left out, and nobody else can create them.

    :param names: ``[("Patient", "1"), …]``
    """
    if tx.dialect.name == "postgresql":
        names = _locked(tx, set(names))
    return {(type, id): version for type, ids in versions.by_type(names).items()
            for id, version in versions.current_of(tx, type, ids).items()}


def _locked(tx: Connection, names: set[Name]) -> set[Name]:
    """Lock the resources that exist, and return their names; claim those of the others.

    Every transaction claims before it locks, and does either in one order: so no two wait for each other.
    """
    look = _LOCK if len(names) == 1 else _LOOK  # a single one is locked as it is looked for: there is no order to keep
    absent = names - _found(tx, look, names)
    claim(tx, *(f"{type}/{id}" for type, id in absent))
    return _found(tx, _LOCK, names) if absent or look is _LOOK else names


def _found(tx: Connection, statement: Select, names: Collection[Name]) -> set[Name]:
    return {(type, id) for type, ids in versions.by_type(names).items()
            for id in tx.execute(statement, {"type": type, "ids": ids}).scalars()}


_LOOK = select(resource.c.id).where(resource.c.type == bindparam("type"), within(resource.c.id, "ids"))
# By code points, as Python sorts the ids for whoever locks them one by one.
_LOCK = _LOOK.order_by(resource.c.id.collate("C")).with_for_update()
