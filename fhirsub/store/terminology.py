"""The value sets and code systems that this server stores, as the codes that a question asks for.

Spec: https://hl7.org/fhir/R4/search.html#modifiers, https://hl7.org/fhir/R4/references.html#canonical
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, and_, bindparam, literal, null, select, union_all

from ..errors import UnsupportedCriteria
from ..fhir import json, terminology
from ..fhir.criteria.code_sets import CodeSet
from ..fhir.terminology import Codes
from .search_rows import indexed
from .sets import within
from .tables import resource, search_value, version

MAX_KEPT_CODES = 500_000    # of all expansions that are kept, about 100 MB

# A resource type with a canonical URL, also with |version, or with Type/id.
Name = tuple[str, str]


class Stored(NamedTuple):
    """Which version of which resource: another one always differs."""

    key: int
    version_id: int
    last_updated: datetime


class Kept(NamedTuple):
    """An expansion with everything that it is made of."""

    codes: Codes
    made_of: dict[Name, Stored]


class Expansions:
    """Gives the codes of a :class:`.CodeSet`, as they are stored when they are first asked for in a transaction.

    :param kept: what the same caller's earlier transactions expanded. It is used again only if everything that it is
        made of is still the current version, which one query tells for all. Not for a transaction that writes value
        sets: what it rolls back was never there
    """

    def __init__(self, tx: Connection, kept: dict[CodeSet, Kept] | None = None):
        self._tx = tx
        self._kept = {} if kept is None else kept
        self._current: dict[Name, Stored | None] | None = None
        self._answers: dict[CodeSet, Codes | UnsupportedCriteria] = {}

    def __call__(self, asked: CodeSet) -> Codes:
        """:raises UnsupportedCriteria: something that is needed is missing, incomplete or cannot be evaluated"""
        if asked not in self._answers:
            self._answers[asked] = self._answer(asked)
        answer = self._answers[asked]
        if isinstance(answer, UnsupportedCriteria):
            raise answer
        return answer

    def _answer(self, asked: CodeSet) -> Codes | UnsupportedCriteria:
        kept = self._kept.get(asked)
        if kept and all(self._now()[name] == stored for name, stored in kept.made_of.items()):
            return kept.codes
        self._kept.pop(asked, None)
        try:
            self._keep(asked, new := self._expand(asked))
        except UnsupportedCriteria as error:
            return error
        return new.codes

    def _keep(self, asked: CodeSet, new: Kept) -> None:
        """The oldest make room."""
        self._kept[asked] = new
        while len(self._kept) > 1 and sum(len(kept.codes) + 1 for kept in self._kept.values()) > MAX_KEPT_CODES:
            del self._kept[next(iter(self._kept))]

    def _now(self) -> dict[Name, Stored | None]:
        if self._current is None:
            self._current = _located(self._tx, {name for kept in self._kept.values() for name in kept.made_of})
        return self._current

    def _expand(self, asked: CodeSet) -> Kept:
        made_of: dict[Name, Stored] = {}

        def find(resource_type: str, canonical: str) -> dict | None:
            name = (resource_type, canonical)
            stored = _located(self._tx, {name})[name]
            if stored is None:
                return None
            made_of[name] = stored
            return _read(self._tx, stored)

        if asked.relation == "in":
            canonical = "|".join(part for part in (asked.url, asked.detail) if part)
            return Kept(terminology.expand(canonical, find), made_of)
        return Kept(terminology.subsumed(asked.url, asked.detail, asked.relation, find), made_of)


def _located(tx: Connection, names: Collection[Name]) -> dict[Name, Stored | None]:
    """Of each name the resource that it means now; of several with one URL, the one that was written last."""
    by_url = defaultdict(list)
    for kind, canonical in names:
        url, _, business_version = canonical.partition("|")
        by_url[kind, indexed(url)].append((canonical, business_version.lower()))
    ids = {url.removeprefix(_LITERAL) for _, url in by_url if url.startswith(_LITERAL)}
    found = tx.execute(_LOCATE, {"urls": {url for _, url in by_url}, "ids": ids}).all()
    located: dict[Name, Stored | None] = dict.fromkeys(names)
    for row in sorted(found, key=lambda row: (row.last_updated, row.key)):
        for canonical, business_version in by_url.get((row.type, row.name), ()):
            if business_version in ("", row.version):
                located[row.type, canonical] = Stored(row.key, row.version_id, row.last_updated)
    return located


def _read(tx: Connection, stored: Stored) -> dict:
    content = tx.execute(_READ, {"of": stored.key, "as": stored.version_id}).scalar_one()
    return json.decode(content)


_TYPES, _LITERAL = ("ValueSet", "CodeSystem"), "ValueSet/"
_r, _s, _business = resource.c, search_value.c, search_value.alias()
_STORED = (_r.key, _r.version_id, _r.last_updated)
_LOCATE = union_all(
    select(_s.type.label("type"), _s.value.label("name"), _business.c.value.label("version"), *_STORED)
    .join(resource, _r.key == _s.resource_key)
    .outerjoin(_business, and_(_business.c.resource_key == _r.key, _business.c.parameter == "version"))
    .where(_s.type.in_(_TYPES), _s.parameter == "url", within(_s.value, "urls")),
    select(_r.type, literal(_LITERAL).concat(_r.id), null(), *_STORED)
    .where(_r.type == "ValueSet", within(_r.id, "ids"), ~_r.deleted))
_READ = (select(version.c.content)
         .where(version.c.resource_key == bindparam("of"), version.c.version_id == bindparam("as")))
