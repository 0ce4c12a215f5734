"""Access keys: where a criteria is filed, and where a resource looks for those that it may match.

A criteria is filed under the values of its most selective equality, one key for each; a resource probes with each of
its own values. So the cost of a write grows with the resource and not with the number of criteria.
"""
from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import lru_cache

from ..definitions.parameters import search_parameters
from ..search_values import SearchValues
from . import references, tokens, uris
from .predicate import Predicate

MAX_KEY = 255  # what the index column holds

_PROBES = {"token": tokens.probes, "reference": references.probes, "uri": uris.probes}

# Many resources share each value of these; better under a URI than under one of them.
_COARSE = {"status", "category", "class", "type", "gender", "active", "intent", "priority", "_tag", "_security",
           "clinical-status", "verification-status", "language"}


def of(resource_type: str, predicates: Iterable[Predicate]) -> tuple[str, ...]:
    """The keys of a criteria with these predicates; the type alone if no predicate is an equality."""
    best = min(filter(selective, predicates), key=rank, default=None)
    if best is None:
        return (resource_type,)
    return tuple(sorted({_key(resource_type, best.parameter.code, operand.key()) for operand in best.values}))


def probe_keys(values: SearchValues) -> set[str]:
    """Every key under which a criteria that this resource matches may be filed."""
    keys = {values.type}
    for code, probes in _probing(values.type):
        keys.update(_key(values.type, code, probe) for value in values[code] for probe in probes(value))
    return keys


@lru_cache(maxsize=None)
def _probing(resource_type: str) -> tuple[tuple[str, Callable], ...]:
    return tuple((code, _PROBES[parameter.type]) for code, parameter in search_parameters(resource_type).items()
                 if parameter.type in _PROBES)


def selective(predicate: Predicate) -> bool:
    """Whether a match needs one of the predicate's values to be there, so that it can be found by its key."""
    return predicate.modifier not in ("not", "missing") and all(operand.key() for operand in predicate.values)


def rank(predicate: Predicate) -> tuple[int, int]:
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


def _key(resource_type, code, value):
    plain = f"{resource_type}?{code}={value}"
    if not plain.isascii() or "\0" in plain:
        # A lone surrogate or NUL, which JSON can carry, would stop the database; both sides lose it alike.
        plain = plain.encode("utf-8", "replace").replace(b"\0", b"?").decode()
    if len(plain) <= MAX_KEY:
        return plain
    return plain[:MAX_KEY - 65] + "#" + hashlib.sha256(plain.encode()).hexdigest()
