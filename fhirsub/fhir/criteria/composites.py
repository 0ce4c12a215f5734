"""What a composite parameter may ask: a value for each component, which must be found at one place.

Spec: https://hl7.org/fhir/R4/search.html#combining
"""
from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..definitions.parameters import SearchParameter, search_parameters
from ..values import Composite
from .clause import Clause
from .escapes import split


class Together(NamedTuple):
    """An operand for each of ``components``, the parameters that the parts of the composite are."""

    operands: tuple
    components: tuple[SearchParameter, ...]

    def matches(self, value: Composite) -> bool:
        return all(any(operand.matches(one) for one in found)
                   for operand, found in zip(self.operands, value.components, strict=True))

    def text(self) -> str:
        return "$".join(operand.text() for operand in self.operands)

    def key(self) -> None:
        return None


def parse(text: str, clause: Clause, read: Callable) -> Together:
    """One value of a composite parameter: ``code$value``.

    :param read: ``read(text, clause)`` reads the value of a component by its type
    :raises ValueError: not one value for each component
    """
    known = search_parameters(clause.resource_type)
    components = tuple(known[code] for code, _ in clause.parameter.components)
    parts = split(text, "$")
    if len(parts) != len(components) or not all(parts):
        raise ValueError("expected " + "$".join(component.code for component in components))
    return Together(tuple(read(part, clause._replace(parameter=component))
                          for part, component in zip(parts, components, strict=True)), components)
