"""Access keys: where a criteria is filed, and where a resource looks for those that it may match.

A criteria is filed under the values of its most selective equality, one key for each; a resource probes with each of
its own values. So the cost of a write grows with the resource and not with the number of criteria. Where no equality is
selective, ranges and the beginnings of strings take their place: a resource probes with those only where somebody asks.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from ..definitions.parameters import search_parameters
from ..search_values import SearchValues
from . import ordered, references, tokens, uris
from .access import Access
from .predicate import Predicate

MAX_KEY = 255  # what the index column holds

_PROBES = {"token": tokens.probes, "reference": references.probes, "uri": uris.probes}

# Many resources share each value of these; better under a URI than under one of them.
_COARSE = {"status", "category", "class", "type", "gender", "active", "intent", "priority", "_tag", "_security",
           "clinical-status", "verification-status", "language"}
_CHAINED = 4.5  # a chain costs a look at another resource, whose values many may share as well


def of(resource_type: str, predicates: Iterable[Any]) -> tuple[str, ...]:
    """The keys of a criteria with these predicates; the type alone if none of them can be looked up."""
    best = access(predicates)
    if best is None:
        return (resource_type,)
    return tuple(sorted({_key(resource_type, best.name, value) for value in best.values}))


def access(predicates: Iterable[Any]) -> Access | None:
    """The most selective among predicates and chains; None if none of them can be looked up."""
    predicates = list(predicates)
    return _best((*filter(None, map(_equality, predicates)), *ordered.accesses(predicates)))


def probe_keys(values: SearchValues) -> set[str]:
    """Every key under which a criteria without needs that this resource matches may be filed."""
    keys = {values.type}
    for code, probes in _probing(values.type):
        keys.update(_key(values.type, code, probe) for value in values[code] for probe in probes(value))
    return keys


def needed_keys(values: SearchValues, need: str) -> set[str]:
    """The same for the criteria that have this need.

    :param need: of an :class:`Access`
    :returns: nothing for the needs of others
    """
    kind, _, name = need.partition(":")
    if kind == "chain":
        probes = _far(values, name)
    elif kind in ordered.KINDS and name in search_parameters(values.type):
        probes = ordered.probes(values[name], kind)
    else:
        probes = ()
    return {_key(values.type, name, probe) for probe in probes}


def selective(predicate: Predicate) -> bool:
    """Whether a match needs one of the predicate's values to be there, so that it can be found by its key."""
    return predicate.modifier not in ("not", "missing") and all(operand.key() for operand in predicate.values)


def rank(predicate: Predicate) -> tuple[float, int]:
    """The lower, the fewer resources are likely to share a value."""
    parameter = predicate.parameter
    if parameter.code == "_id":
        kind = 0
    elif parameter.type == "reference":
        kind = 1
    elif parameter.code == "identifier":
        kind = 2
    elif parameter.type == "uri":
        kind = 4
    else:
        kind = 5 if parameter.code in _COARSE else 3
    return kind, len(predicate.values)


def shortened(key: str) -> str:
    """A key as the index column can hold it."""
    if not key.isascii() or "\0" in key:
        # A lone surrogate or NUL, which JSON can carry, would stop the database; both sides lose it alike.
        key = key.encode("utf-8", "replace").replace(b"\0", b"?").decode()
    if len(key) <= MAX_KEY:
        return key
    return key[:MAX_KEY - 65] + "#" + hashlib.sha256(key.encode()).hexdigest()


def _key(resource_type: str, name: str, value: str) -> str:
    return shortened(f"{resource_type}?{name}={value}")


@lru_cache(maxsize=None)
def _probing(resource_type: str) -> tuple[tuple[str, Callable], ...]:
    return tuple((code, _PROBES[parameter.type]) for code, parameter in search_parameters(resource_type).items()
                 if parameter.type in _PROBES)


def _best(accesses: Iterable[Access]) -> Access | None:
    return min(accesses, key=lambda one: (one.rank, one.name), default=None)


def _equality(predicate: Any) -> Access | None:
    if isinstance(predicate, Predicate):
        values = tuple(operand.key() for operand in predicate.values) if selective(predicate) else ()
        return Access(rank(predicate), predicate.parameter.code, values) if values else None
    ends = [_best(filter(None, map(_equality, end.predicates))) for end in predicate.ends]
    if None in ends or len({end.name for end in ends}) > 1:
        return None
    values = tuple(dict.fromkeys(value for end in ends for value in end.values))
    path = f"{predicate.step}.{ends[0].name}"
    return Access((_CHAINED, len(values)), path, values, (f"chain:{path}",))


def _far(values: SearchValues, path: str) -> Iterator[str]:
    """What the resources at the end of a chain probe with."""
    step, dot, rest = path.partition(".")
    code, _, kind = step.partition(":")
    if not dot:
        probes = _PROBES[search_parameters(values.type)[code].type] if code in search_parameters(values.type) else None
        yield from (probe for value in values[code] for probe in probes(value)) if probes else ()
        return
    for linked in values.linked(code) if code in search_parameters(values.type) else ():
        if kind in ("", linked.type):
            yield from _far(linked, rest)
