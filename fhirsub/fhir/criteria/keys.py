"""Access keys: where a criteria is filed, and where a resource looks for those that it may match.

A criteria is filed under the values of its most selective equality, one key for each; a resource probes with each of
its own values. So the cost of a write grows with the resource and not with the number of criteria. Where no equality is
selective, ranges and pieces of texts take their place: a resource probes with those only where somebody asks.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from ..definitions.parameters import search_parameters
from ..search_values import SearchValues
from . import ordered, pairs, references, tokens, uris
from .access import Access
from .predicate import Predicate

MAX_KEY = 255  # what the index column holds

_PROBES = {"token": tokens.probes, "reference": references.probes, "uri": uris.probes}

# Many resources share each value of these; better under a URI than under one of them.
_COARSE = {"status", "category", "class", "type", "gender", "active", "intent", "priority", "_tag", "_security",
           "clinical-status", "verification-status", "language"}
_CODE, _CHAINED = 3, 4.5    # a chain costs a look at another resource, whose values many may share as well

_CHAIN = "chain"    # the kind of keys of an equality at the end of a chain; of others, chain+begins


def of(resource_type: str, predicates: Iterable[Any]) -> tuple[str, ...]:
    """The keys of a criteria with these predicates; the type alone if none of them can be looked up."""
    best = access(predicates)
    if best is None:
        return (resource_type,)
    return tuple(sorted({_key(resource_type, best.name, value) for value in best.values}))


def access(predicates: Iterable[Any]) -> Access | None:
    """The most selective among predicates and chains; None if none of them can be looked up."""
    found = list(_accesses(predicates))
    codes = [one for one in found if one.rank[0] == _CODE]
    return _best((*found, *pairs.accesses(codes, found)))


def probe_keys(values: SearchValues) -> set[str]:
    """Every key under which a criteria without needs that this resource matches may be filed."""
    keys = {values.type}
    for code, prefix, probes in _probing(values.type):
        for value in values[code]:
            keys.update([shortened(prefix + probe) for probe in probes(value)])
    return keys


def needed_keys(values: SearchValues, need: str) -> set[str]:
    """The same for the criteria that have this need.

    :param need: of an :class:`Access`
    :returns: nothing for the needs of others
    """
    kind, _, name = need.partition(":")
    if kind.startswith(_CHAIN):
        probes = _far(values, name, kind.partition("+")[2])
    elif kind in pairs.KINDS:
        code, _, ranged = name.partition("&")
        probes = pairs.probes(_near(values, code), set(_near(values, ranged, pairs.KINDS[kind])))
    else:
        probes = _near(values, name, kind)
    prefix = _prefix(values.type, name)
    return {shortened(prefix + probe) for probe in probes}


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
    return shortened(_prefix(resource_type, name) + value)


def _prefix(resource_type: str, name: str) -> str:
    return f"{resource_type}?{name}="


@lru_cache(maxsize=None)
def _probing(resource_type: str) -> tuple[tuple[str, str, Callable], ...]:
    return tuple((code, _prefix(resource_type, code), _PROBES[parameter.type])
                 for code, parameter in search_parameters(resource_type).items() if parameter.type in _PROBES)


def _best(accesses: Iterable[Access]) -> Access | None:
    return min(accesses, key=lambda one: (one.rank, one.name), default=None)


def _parts(predicates: Iterable[Any]) -> Iterator[Any]:
    """The predicates with what a composite demands of each of its parameters in its place.

    That they must be found at one place is left to the test.
    """
    for predicate in predicates:
        if isinstance(predicate, Predicate) and predicate.parameter.type == "composite":
            for index, parameter in enumerate(predicate.values[0].components):
                asked = dict.fromkeys(together.operands[index] for together in predicate.values)
                yield Predicate(parameter, None, tuple(asked))
        else:
            yield predicate


def _accesses(predicates: Iterable[Any]) -> Iterator[Access]:
    """The accesses by one predicate or chain each."""
    parts = list(_parts(predicates))
    yield from filter(None, (_equality(part) if isinstance(part, Predicate) else _chain(part) for part in parts))
    yield from ordered.accesses(parts)


def _equality(predicate: Predicate) -> Access | None:
    values = tuple(operand.key() for operand in predicate.values) if selective(predicate) else ()
    return Access(rank(predicate), predicate.parameter.code, values) if values else None


def _chain(link: Any) -> Access | None:
    """By what stands at its ends, as long as that is the same at all of them."""
    ends = [_best(_accesses(end.predicates)) for end in link.ends]
    if None in ends or len({end.name for end in ends}) > 1:
        return None
    path = f"{link.step}.{ends[0].name}"
    values = tuple(dict.fromkeys(value for end in ends for value in end.values))
    needs = dict.fromkeys(_farther(need, path) for end in ends for need in end.needs or (_CHAIN,))
    return Access((max(_CHAINED, *(end.rank[0] for end in ends)), len(values)), path, values, tuple(needs))


def _farther(need: str, path: str) -> str:
    """What is needed at the end of a chain that goes one link farther: ``chain:PATH``, ``chain+begins:PATH``."""
    kind = need.partition(":")[0]
    return f"{kind if kind.startswith(_CHAIN) else f'{_CHAIN}+{kind}'}:{path}"


def _near(values: SearchValues, code: str, kind: str = "") -> Iterable[str]:
    """What a resource probes with for one parameter.

    :param kind: of :data:`.ordered.KINDS`; for an equality if there is none
    """
    parameter = search_parameters(values.type).get(code)
    if parameter is None:
        return ()
    if kind:
        return ordered.probes(values[code], kind) if kind in ordered.KINDS else ()
    probes = _PROBES.get(parameter.type)
    return [probe for value in values[code] for probe in probes(value)] if probes else ()


def _far(values: SearchValues, path: str, kind: str) -> Iterator[str]:
    """What the resources at the end of a chain probe with."""
    step, dot, rest = path.partition(".")
    code, _, target = step.partition(":")
    if not dot:
        yield from _near(values, code, kind)
        return
    for linked in values.linked(code) if code in search_parameters(values.type) else ():
        if target in ("", linked.type):
            yield from _far(linked, rest, kind)
