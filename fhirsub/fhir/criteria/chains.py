"""Chains and reverse chains: predicates about resources that the one at hand refers to, or that refer to it.

A search can answer both. One resource answers a chain if its :class:`.SearchValues` can resolve references.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ...errors import UnsupportedCriteria
from ..definitions.parameters import SearchParameter
from ..search_values import SearchValues
from .criteria import Criteria

# ``_list`` is a reverse chain over the entries of a List that are not marked as deleted.
MEMBERS = SearchParameter("_list", "reference", "List.entry.where(deleted.exists().not() or deleted = false).item",
                          "http://hl7.org/fhir/R4/search.html#list", "The current members of a list")


@dataclass(frozen=True, slots=True)
class Link:
    """A step from one resource to others, by a reference parameter of either side.

    :param ends: what to find there; one of these must match
    """

    parameter: SearchParameter
    ends: tuple[Criteria, ...]

    @property
    def values(self) -> tuple[Any, ...]:
        """The operands at the far end."""
        return tuple(value for end in self.ends for predicate in end.predicates for value in predicate.values)

    @property
    def length(self) -> int:
        """How many links there are, this one counted."""
        further = (one for end in self.ends for one in end.predicates if isinstance(one, Link))
        return 1 + max((one.length for one in further), default=0)

    def bind(self, expand: Callable[[Any], Any]) -> Link:
        """The link with the codes of the value sets that it asks for, as :meth:`.Criteria.bind`."""
        return replace(self, ends=tuple(end.bind(expand) for end in self.ends))

    def test(self, values: SearchValues) -> bool:
        """Whether the resource has such a link.

        :raises UnsupportedCriteria: the answer is not in the one resource
        """
        raise UnsupportedCriteria(f"{values.type}?{self.canonical()}: asks about other resources, so one resource alone"
                                  " cannot answer it; search for it when it is stored")

    def canonical(self) -> str:
        """The link as it stands in a query, percent-encoded."""
        raise NotImplementedError


class Chain(Link):
    """``subject:Patient.name=x``: a resource of this server that ``parameter`` leads to matches one of ``ends``.

    There is an end for each type that the target may be of.
    """

    __slots__ = ()

    def test(self, values: SearchValues) -> bool:
        if values.resolve is None:
            return Link.test(self, values)
        return any(end.test(linked) for linked in values.linked(self.parameter.code) for end in self.ends)

    @property
    def step(self) -> str:
        """The link itself, as it begins the name: ``subject:Patient``."""
        return f"{self.parameter.code}:{self.ends[0].type}" if len(self.ends) == 1 else self.parameter.code

    def canonical(self) -> str:
        asked = dict.fromkeys(predicate.canonical() for end in self.ends for predicate in end.predicates)
        return "&".join(f"{self.step}.{text}" for text in asked)


class Reverse(Link):
    """``_has:Observation:patient:code=x``: a resource that matches the only end refers to this one by ``parameter``."""

    __slots__ = ()

    @property
    def source(self) -> Criteria:
        """What refers to this one."""
        return self.ends[0]

    def canonical(self) -> str:
        asked = [predicate.canonical() for predicate in self.source.predicates]
        if self.parameter is MEMBERS:
            return asked[0].replace("_id", "_list", 1)
        return "&".join(f"_has:{self.source.type}:{self.parameter.code}:{text}" for text in asked)
