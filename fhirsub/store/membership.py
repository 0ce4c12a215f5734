"""Which Groups and Lists hold a resource now: members that are not inactive, entries that are not deleted.

Spec: https://hl7.org/fhir/R4/group.html, https://hl7.org/fhir/R4/list.html
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from sqlalchemy import Connection, select

from ..fhir.criteria.chains import MEMBERS
from .search_rows import asked
from .sets import within
from .tables import resource, search_value


def holders(tx: Connection, references: Iterable[str]) -> dict[str, frozenset[str]]:
    """The Groups and Lists of this server whose current version holds each reference, with one query.

    :param references: ``Patient/abc``, or the absolute URL of what is not this server's
    :returns: ``{"Patient/abc": frozenset({"Group/5", "List/7"}), …}``, for each reference given
    """
    values = {reference: asked(reference) for reference in references}
    found: dict[str, set[str]] = defaultdict(set)
    for row in tx.execute(_HOLDERS, {"references": set(values.values())}):
        found[row.value].add(f"{row.type}/{row.id}")
    return {reference: frozenset(found[value]) for reference, value in values.items()}


_HOLDERS = select(search_value.c.value, resource.c.type, resource.c.id).join(
    resource, resource.c.key == search_value.c.resource_key).where(
    search_value.c.type.in_(("Group", "List")), search_value.c.parameter == MEMBERS.code,
    within(search_value.c.value, "references"))
