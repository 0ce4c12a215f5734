"""Finding the resources that some refer to, and those that refer to them, in the search values of references.

All rules are followed together, level by level, so that the number of queries grows with the depth and the types found,
not with the resources. A reference to another server, or to what is deleted, adds nothing.

Spec: https://hl7.org/fhir/R4/search.html#include
"""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, or_, select

from ..fhir.definitions.parameters import search_parameters
from ..fhir.definitions.structures import RESOURCE_TYPES
from ..fhir.including import Rule, references
from .sets import within
from .tables import resource, search_value, version
from .versions import Version

MAX_DEPTH = 8   # levels of :iterate; links like Observation.hasMember or Location.partOf may go round in circles

# The columns of Version, as a page of a search has them.
_COLUMNS = (version.c.type, version.c.id, version.c.version_id, version.c.interaction, version.c.last_updated,
            version.c.content)
# The types that canonical references name by their ``url``.
_CANONICAL = frozenset(kind for kind in RESOURCE_TYPES if "url" in search_parameters(kind))
_r, _s, _v = resource.c, search_value.c, version.c


class Included(NamedTuple):
    """``complete`` is False where there was more than the limit, in number or depth."""

    versions: list[Version]
    complete: bool


def include(tx: Connection, matches: Sequence[Version], rules: Sequence[Rule], limit: int) -> Included:
    """The current versions that ``rules`` add to ``matches``, each once and none that is a match itself.

    :param limit: most versions to be added
    """
    level = {f"{one.type}/{one.id}" for one in matches}
    seen, found = set(level), []
    for depth in range(MAX_DEPTH + 1):
        following = [rule for rule in rules if rule.iterate or depth == 0]
        new = _next(tx, level, following, seen, limit + 1 - len(found)) if following else []
        if not new:
            return Included(found, True)
        if depth == MAX_DEPTH:
            break
        found += new
        if len(found) > limit:
            break
        level = {f"{one.type}/{one.id}" for one in new}
        seen |= level
    return Included(found[:limit], False)


def _next(tx: Connection, level: Collection[str], rules: Sequence[Rule], seen: Collection[str],
          count: int) -> list[Version]:
    """Up to ``count`` versions one step away from those named in ``level``, in the order of their creation."""
    ids = _by_type(level)
    names = _referred(tx, ids, [rule for rule in rules if not rule.reverse])
    backwards = [rule for rule in rules if rule.reverse]
    for target, of in ids.items() if backwards else ():
        names |= _referring(tx, target, of, backwards, count + len(seen))
    return _fetch(tx, _by_type(names - set(seen)), count)


def _referred(tx: Connection, ids: dict[str, list[str]], rules: Sequence[Rule]) -> set[str]:
    """What the resources with these ids refer to, by any parameter that a rule follows: ``{"Patient/1", …}``."""
    targets = {(source, code): frozenset().union(*(rule.targets(source, code) for rule in rules))
               for source in ids for code in {code for rule in rules for code in rule.codes(source)}}
    starts = [and_(_chosen(source), _s.parameter.in_(sorted(code for kind, code in targets if kind == source)))
              for source in sorted({source for source, _ in targets})]
    if not starts:
        return set()
    query = (select(_s.type, _s.parameter, _s.value).distinct()
             .join(resource, _r.key == _s.resource_key).where(or_(*starts)))
    names, urls = set(), defaultdict(set)
    for source, code, value in tx.execute(query, _bound(ids)):
        kind = (value or "").partition("/")[0]
        if kind in targets[source, code]:
            names.add(value)
        elif value and kind not in RESOURCE_TYPES:
            urls[value] |= targets[source, code]
    return names | _canonical(tx, urls)


def _canonical(tx: Connection, urls: dict[str, set[str]]) -> set[str]:
    """The resources whose ``url`` is one of these, if of the types given, in any business version."""
    types = sorted(set().union(*urls.values()) & _CANONICAL)
    if not types:
        return set()
    query = (select(_s.type, _r.id, _s.value).join(resource, _r.key == _s.resource_key)
             .where(_s.type.in_(types), _s.parameter == "url", within(_s.value, "urls")))
    return {f"{kind}/{id}" for kind, id, url in tx.execute(query, {"urls": list(urls)}) if kind in urls[url]}


def _referring(tx: Connection, target: str, ids: list[str], rules: Sequence[Rule], count: int) -> set[str]:
    """Up to ``count`` resources that refer to these of one type, by any parameter that a rule follows.

    Several types at once would be more conditions than SQLite takes in one statement.
    """
    ends = [and_(_s.type == source, _s.parameter.in_(codes), within(_s.value, "names"))
            for source, codes in _leading(rules, target).items()]
    if not ends:
        return set()
    keys = select(_s.resource_key).where(or_(*ends))
    query = select(_r.type, _r.id).where(_r.key.in_(keys)).order_by(_r.key).limit(count)
    names = [f"{target}/{id}" for id in ids] + _urls(tx, target, ids)
    return {f"{kind}/{id}" for kind, id in tx.execute(query, {"names": names})}


def _urls(tx: Connection, resource_type: str, ids: list[str]) -> list[str]:
    """What canonical references to these resources say."""
    if resource_type not in _CANONICAL:
        return []
    query = (select(_s.value).join(resource, _r.key == _s.resource_key)
             .where(_chosen(resource_type), _s.parameter == "url"))
    return list(tx.execute(query, _bound({resource_type: ids})).scalars())


def _leading(rules: Sequence[Rule], target: str) -> dict[str, list[str]]:
    """The parameters that a rule follows back from ``target``: ``{"Observation": ["patient", "subject"], …}``."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for rule in rules:
        for source in rule.sources:
            found[source].update(code for code in references(source) if target in rule.targets(source, code))
    return {source: sorted(codes) for source, codes in sorted(found.items()) if codes}


def _fetch(tx: Connection, ids: dict[str, list[str]], count: int) -> list[Version]:
    if not ids:
        return []
    query = (select(*_COLUMNS).join(resource, and_(_r.key == _v.resource_key, _r.version_id == _v.version_id))
             .where(~_r.deleted, or_(*map(_chosen, ids))).order_by(_r.key).limit(count))
    return [Version(*row) for row in tx.execute(query, _bound(ids))]


def _by_type(names: Iterable[str]) -> dict[str, list[str]]:
    """``{"Patient": ["1", "2"]}`` for ``{"Patient/1", "Patient/2"}``; URLs of other servers are left out."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in sorted(names):
        kind, _, id = name.partition("/")
        if kind in RESOURCE_TYPES:
            found[kind].append(id)
    return dict(found)


def _chosen(resource_type: str) -> ColumnElement[bool]:
    return and_(_r.type == resource_type, within(_r.id, f"ids_{resource_type}"))


def _bound(ids: dict[str, list[str]]) -> dict[str, list[str]]:
    return {f"ids_{resource_type}": of for resource_type, of in ids.items()}
