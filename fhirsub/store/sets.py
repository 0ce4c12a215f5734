"""``column IN (…)`` for sets of any size: one bound list instead of thousands of parameters, one statement for all."""
from __future__ import annotations

import json

from sqlalchemy import Boolean, Text, TypeDecorator, bindparam
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement


class within(FunctionElement):
    """A condition that ``column`` is one of the values bound as ``name``.

    The values are texts or whole numbers, any iterable of them, also an empty one::

        STATEMENT = select(stream).where(within(stream.c.id, "ids"))
        tx.execute(STATEMENT, {"ids": {1, 2, 3}})

    A condition that is made for one statement can have the ``values`` themselves.
    """

    type = Boolean()
    name = "within"
    inherit_cache = True

    def __init__(self, column, name=None, values=None):
        given = {"key": name} if values is None else {"key": None, "value": list(values), "unique": True}
        super().__init__(column, bindparam(**given, type_=_Several(column.type)))

    def self_group(self, against=None):
        """Itself: SQLAlchemy would compare it with 1 where SQLite has no booleans, and no index answers that."""
        return self


class _Several(TypeDecorator):
    """A list as one parameter: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def __init__(self, of):
        super().__init__()
        self.of = of

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(ARRAY(self.of) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value, dialect):
        return list(value) if dialect.name == "postgresql" else json.dumps(list(value))


@compiles(within, "postgresql")
def _any(element, compiler, **options):
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} = ANY ({values})"


@compiles(within, "sqlite")
def _each(element, compiler, **options):
    column, values = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({values}))"
