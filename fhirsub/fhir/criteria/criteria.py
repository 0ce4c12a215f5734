"""A criteria: a resource type and predicates that must all hold.

Spec: https://hl7.org/fhir/R4/subscription.html, https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass, replace

from ..search_values import SearchValues
from ..terminology import Codes
from . import keys
from .code_sets import CodeSet
from .predicate import Predicate


@dataclass(frozen=True, slots=True)
class Criteria:
    """A question that one resource answers with yes or no; also the question of a REST search.

    :param predicates: in canonical order, without duplicates; none: every resource of the type
    """

    type: str
    predicates: tuple[Predicate, ...]

    def test(self, values: SearchValues) -> bool:
        """Whether the resource is of the type and every predicate holds."""
        return values.type == self.type and all(predicate.test(values) for predicate in self.predicates)

    @property
    def alone(self) -> bool:
        """Whether :meth:`test` can answer, for nothing is asked about other resources."""
        return all(isinstance(predicate, Predicate) and predicate.bound for predicate in self.predicates)

    def bind(self, expand: Callable[[CodeSet], Codes]) -> Criteria:
        """The criteria with the codes of the value sets that it asks for.

        :param expand: gives the codes of one of them
        :raises UnsupportedCriteria: ``expand`` does
        """
        bound = tuple(predicate.bind(expand) for predicate in self.predicates)
        return self if all(map(operator.is_, bound, self.predicates)) else replace(self, predicates=bound)

    def canonical(self) -> str:
        """The criteria as text that :func:`.parse` reads; equal questions give equal text."""
        query = "&".join(predicate.canonical() for predicate in self.predicates)
        return f"{self.type}?{query}" if query else self.type

    def keys(self) -> tuple[str, ...]:
        """Where the criteria is filed: a resource that it matches has one of these among its probe keys."""
        return keys.of(self.type, self.predicates)
