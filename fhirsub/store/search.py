"""Searching the current versions, page by page.

Spec: https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection, and_, func, select

from ..fhir.criteria import Criteria
from . import search_pages
from .postgresql import plan_anew
from .search_alternatives import any_clause
from .tables import resource, version
from .terminology import Expansions
from .versions import Version

_r, _v = resource.c, version.c


class Page(NamedTuple):
    """``total`` counts all pages, None if not asked for; ``next`` is the cursor of the page that follows, if any."""

    versions: list[Version]
    total: int | None
    next: str | None


def find(tx: Connection, criteria: Criteria | Sequence[Criteria], *, count: int, sort: Sequence[str] = (),
         after: str | None = None, total: bool = True) -> Page:
    """A page of the current versions that match, in the order of ``sort`` and then of their creation.

    A resource written while somebody pages does not move those on the pages to come.

    :param criteria: one, or alternatives one of which must match; the first one's type says what ``sort`` means
    :param count: most versions on the page; 0 asks for the total alone
    :param sort: codes of search parameters, with ``-`` before for descending
    :param after: the cursor that the page before gave
    :raises UnsupportedCriteria: a question or sort order that SQL cannot answer here
    :raises BadRequest: the cursor is none of ours, or of another order
    """
    alternatives = (criteria,) if isinstance(criteria, Criteria) else criteria
    expand = Expansions(tx)
    matching = any_clause([one.bind(expand) for one in alternatives])
    order = search_pages.order(sort, alternatives[0].type)
    plan_anew(tx)
    number = tx.execute(select(func.count()).select_from(resource).where(matching)).scalar_one() if total else None
    if count <= 0:
        return Page([], number, None)
    if after:
        matching = and_(matching, search_pages.beyond(order, search_pages.position(after, sort, order)))
    query = (select(_v.type, _v.id, _v.version_id, _v.interaction, _v.last_updated, _v.content, *order.columns)
             .join(resource, and_(_r.key == _v.resource_key, _r.version_id == _v.version_id))
             .where(matching).order_by(*order.directed).limit(count + 1))
    found = tx.execute(query).all()
    more = search_pages.cursor(sort, found[count - 1][6:]) if len(found) > count else None
    return Page([Version(*row[:6]) for row in found[:count]], number, more)
