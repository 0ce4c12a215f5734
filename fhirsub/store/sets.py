"""``column IN (…)`` for sets of any size: one bound value instead of thousands of parameters."""
from __future__ import annotations

import json

from sqlalchemy import bindparam, column, func, select
from sqlalchemy.dialects.postgresql import ARRAY


def member(tx, of, values):
    """A condition that the column ``of`` is one of ``values`` (texts or whole numbers; may be empty)."""
    values = list(values)
    if tx.dialect.name == "postgresql":
        return of == func.any(bindparam(None, values, ARRAY(of.type)))
    each = func.json_each(json.dumps(values)).table_valued(column("value"))
    return of.in_(select(each.c.value))
