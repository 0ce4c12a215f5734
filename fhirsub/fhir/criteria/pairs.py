"""Accesses by a code and a range together: where many ask about one code, the range tells them apart.

A resource looks under each pair of a code of its own and a node of its own value. That costs, so it does so only where
somebody asks, and where there are too many pairs it looks under a key that each such question of a code has besides.
"""
from __future__ import annotations

from collections.abc import Collection, Iterable

from . import ordered, ranges
from .access import Access

MAX_PROBES = 1_000      # eleven codes with both ends of two values; making the keys takes about a ms
MAX_KEYS = 64           # to file one question under; a longer list of codes is found by the codes alone

KINDS = {f"code+{kind}": kind for kind in ranges.KINDS}     # of keys; the name is that of both parameters: code&date

_MANY = "many"          # in the place of a node


def accesses(codes: Iterable[Access], others: Iterable[Access]) -> list[Access]:
    """Each of these codes with the best of the ranges among the others, a little more selective than the code alone."""
    found = [one for one in others if one.rank[0] <= ordered.OPEN and {*map(_kind, one.needs)} & ranges.KINDS]
    if not found:
        return []
    best = min(found, key=lambda one: one.rank)
    pairs = [_both(code, best) for code in codes]
    return [pair for pair in pairs if len(pair.values) <= MAX_KEYS]


def probes(codes: Iterable[str], nodes: Collection[str]) -> list[str]:
    """What a resource looks under that has these probes for a code and those for a range."""
    bare = _bare(codes)
    return _pairs(bare, nodes if len(bare) * len(nodes) <= MAX_PROBES else [_MANY])


def _both(code: Access, ranged: Access) -> Access:
    values, name = _pairs(_bare(code.values), [*ranged.values, _MANY]), f"{code.name}&{ranged.name}"
    needs = tuple(f"code+{_kind(need)}:{name}" for need in ranged.needs)
    return Access((code.rank[0] - 0.1, len(values)), name, tuple(values), needs)


def _kind(need: str) -> str:
    return need.partition(":")[0]


def _bare(codes: Iterable[str]) -> dict[str, None]:
    """Codes without their systems: half as many, and hardly any two systems share one."""
    return dict.fromkeys(code.rpartition("|")[2].lower() for code in codes)


def _pairs(codes: Iterable[str], nodes: Collection[str]) -> list[str]:
    return [f"{node} {code}" for code in codes for node in nodes]
