"""What a search can find of each resource: the search values of its current version, and of no other.

Spec: https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import JSON, Connection, Text, bindparam, cast, delete, func, insert, select

from ..fhir import json
from ..fhir.search_values import SearchValues
from .search_rows import rows
from .tables import search_value


def put(tx: Connection, found: Mapping[int, SearchValues], *, again: Collection[int]) -> None:
    """Make these the search values of resources.

    :param found: by the key of the resource; at least one
    :param again: keys of those that may have some already
    """
    statement = _PUT[tx.dialect.name]
    if again and tx.dialect.name == "postgresql":
        statement = _REPLACE  # a statement less is a round trip less
    elif again:
        clear(tx, again)
    tx.execute(statement, [{"of": key, "of_type": values.type, "rows": json.encode(rows(values)).decode()}
                           for key, values in found.items()])


def clear(tx: Connection, resource_keys: Collection[int]) -> None:
    """Remove the search values of one or more resources."""
    tx.execute(_CLEAR, [{"of": key} for key in resource_keys])


_FOUND = [search_value.c[name] for name in (
    "parameter", "system", "value", "text", "low", "high", "upper", "unit", "part")]


def _put(found):
    key, type = bindparam("of", type_=search_value.c.resource_key.type), bindparam("of_type", type_=Text)
    return insert(search_value).from_select(["resource_key", "type", *(column.name for column in _FOUND)],
                                            select(key, type, *found))


# All rows are one JSON parameter: a third of the time of twenty parameter sets, in either database.
_given = bindparam("rows", type_=Text)
_item = func.json_each(_given).table_valued("value").c.value
_record = func.json_to_recordset(cast(_given, JSON)).table_valued(*_FOUND).render_derived(with_types=True).c
_PUT = {
    "sqlite": _put([func.json_extract(_item, f"$.{column.name}") for column in _FOUND]),
    "postgresql": _put([_record[column.name] for column in _FOUND])}
_CLEAR = delete(search_value).where(search_value.c.resource_key == bindparam("of"))
_REPLACE = _PUT["postgresql"].add_cte(_CLEAR.cte("cleared"))
