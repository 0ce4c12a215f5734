"""Finding the EventDefinitions that are called by id, canonical URL or name.

Spec: https://hl7.org/fhir/R4/eventdefinition.html, https://hl7.org/fhir/R4/references.html#canonical
"""
from __future__ import annotations

from sqlalchemy import Connection, func, select

from ..fhir import references
from ..fhir.criteria import parse_query
from ..fhir.criteria.escapes import escape
from . import search, versions
from .tables import resource
from .versions import Version


def active(tx: Connection, reference: str, base_url: str = "") -> list[Version]:
    """The active EventDefinitions that ``reference`` names: one, none, or two where it could be several.

    :param reference: ``EventDefinition/ID``, also below ``base_url``; a canonical ``url`` or ``url|version``; or a name
    """
    kind, _, id = references.relative(reference, base_url).partition("/")
    if kind == "EventDefinition" and "/" not in id:
        found = versions.current(tx, kind, id)
        return [found] if found and (found.resource or {}).get("status") == "active" else []
    url, _, version = reference.partition("|")
    named = [("name:exact", escape(reference))]
    if ":" in url:
        named = [("url", escape(url)), *([("version", escape(version))] if version else [])]
    asked = parse_query("EventDefinition", [("status", "active"), *named])
    return search.find(tx, asked, count=2, total=False).versions


def listed(tx: Connection, limit: int) -> list[Version]:
    """Up to ``limit`` active EventDefinitions, by name."""
    asked = parse_query("EventDefinition", [("status", "active")])
    return search.find(tx, asked, count=limit, sort=("name",), total=False).versions


def state(tx: Connection) -> int:
    """A number that grows with every write of an EventDefinition."""
    return tx.execute(_STATE).scalar_one()


_STATE = select(func.coalesce(func.sum(resource.c.version_id), 0)).where(resource.c.type == "EventDefinition")
