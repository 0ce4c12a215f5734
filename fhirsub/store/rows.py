"""Any number of rows as one parameter: ``INSERT … SELECT`` from them is one statement, and nothing is done per row.

Spec: https://www.sqlite.org/json1.html#jeach, https://www.postgresql.org/docs/15/functions-json.html
"""
from __future__ import annotations

from sqlalchemy import ColumnElement, Text, TypeDecorator, bindparam, cast, column, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from ..fhir import json


def rows(name: str, *types: type[TypeEngine]) -> list[ColumnElement]:
    """The columns of the rows that are bound as ``name``: a list of lists of whole numbers, texts and None.

    They are what an insert selects, beside what is the same for all rows::

        STATEMENT = insert(event).from_select(["stream_id", "number", "created_at"], select(
            *rows("events", BigInteger, BigInteger), bindparam("now", type_=Instant)))
        tx.execute(STATEMENT, {"events": [[5, 1], [7, 1]], "now": now})
    """
    row = _Each(bindparam(name, type_=_Listed)).table_valued(column("value"), name=name).c.value
    return [cast(_Cell(row, literal_column(str(position))), type) for position, type in enumerate(types)]


class _Each(FunctionElement):
    name = "each"
    inherit_cache = True


class _Cell(FunctionElement):
    name = "cell"
    inherit_cache = True


class _Listed(TypeDecorator):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return json.encode(value).decode()


@compiles(_Each, "postgresql")
def _elements(element, compiler, **options):
    return f"json_array_elements(CAST({compiler.process(element.clauses, **options)} AS JSON))"


@compiles(_Each, "sqlite")
def _each(element, compiler, **options):
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(_Cell, "postgresql")
def _text(element, compiler, **options):
    row, position = (compiler.process(clause, **options) for clause in element.clauses)
    return f"{row} ->> {position}"


@compiles(_Cell, "sqlite")
def _extract(element, compiler, **options):
    row, position = (compiler.process(clause, **options) for clause in element.clauses)
    return f"json_extract({row}, '$[{position}]')"
