"""What :mod:`.grammar` reads: the whole of FHIRPath as a tree; ``at`` is where a node begins in the text.

Spec: https://hl7.org/fhirpath/N1/#expressions
"""
from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple


class Literal(NamedTuple):
    """``kind``: string, number, boolean, empty, temporal (``@2020``), quantity (``4 days``)

    The value of the last two is their text.
    """

    at: int
    kind: str
    value: Any


class Variable(NamedTuple):
    """``%name``"""

    at: int
    name: str


class Special(NamedTuple):
    """``$this``, ``$index``, ``$total``"""

    at: int
    name: str


class Member(NamedTuple):
    """``of.name``; ``of`` is None where a path begins."""

    at: int
    of: Any
    name: str


class Call(NamedTuple):
    """``of.name(arguments)``; ``of`` is None where a path begins. A type as argument is a path."""

    at: int
    of: Any
    name: str
    arguments: tuple


class Item(NamedTuple):
    """``of[index]``"""

    at: int
    of: Any
    index: Any


class Sign(NamedTuple):
    """``-of`` or ``+of``"""

    at: int
    sign: str
    of: Any


class TypeTest(NamedTuple):
    """``of is type`` or ``of as type``"""

    at: int
    of: Any
    operator: str
    type: str


class Binary(NamedTuple):
    at: int
    operator: str
    left: Any
    right: Any


def walk(node: Any) -> Iterator[Any]:
    """A node and all below it."""
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo += below(node)


def height(tree: Any) -> int:
    """How many nodes the longest way down has."""
    levels, level = 0, [tree]
    while level:
        levels, level = levels + 1, [one for node in level for one in below(node)]
    return levels


def below(node: Any) -> list[Any]:
    """The nodes that a node is made of."""
    if isinstance(node, Call):
        return [one for one in (node.of, *node.arguments) if one is not None]
    if isinstance(node, Binary):
        return [node.left, node.right]
    if isinstance(node, Item):
        return [node.of, node.index]
    return [node.of] if isinstance(node, (Member, Sign, TypeTest)) and node.of is not None else []


def type_name(node: Any) -> str | None:
    """The type that a path names, ``FHIR.Quantity`` without its namespace; None if it cannot be a type."""
    if isinstance(node, Member):
        return f"System.{node.name}" if node.of == Member(node.at, None, "System") else node.name
    return None


def text(node: Any) -> str:
    """A tree as FHIRPath, with parentheses around each operation inside another, so that precedence is no matter."""
    if isinstance(node, Literal):
        return _literal(node)
    if isinstance(node, Variable):
        return f"%{node.name}"
    if isinstance(node, Special):
        return f"${node.name}"
    if isinstance(node, (Member, Call)):
        name = f"`{node.name}`" if node.name in QUOTED else node.name
        prefix = "" if node.of is None else f"{_operand(node.of)}."
        return f"{prefix}{name}({', '.join(map(text, node.arguments))})" if isinstance(node, Call) else prefix + name
    if isinstance(node, Item):
        return f"{_operand(node.of)}[{text(node.index)}]"
    if isinstance(node, Sign):
        return node.sign + _operand(node.of)
    if isinstance(node, TypeTest):
        return f"{_operand(node.of)} {node.operator} {node.type}"
    return f"{_operand(node.left)} {node.operator} {_operand(node.right)}"


# Words that are no names unless between back quotes.
UNITS = frozenset("year years month months week weeks day days hour hours minute minutes second seconds "
                  "millisecond milliseconds".split())
QUOTED = UNITS | {"and", "or", "xor", "implies", "div", "mod", "true", "false"}


def _operand(node: Any) -> str:
    return f"({text(node)})" if isinstance(node, (Binary, TypeTest, Sign)) else text(node)


def _literal(node: Literal) -> str:
    if node.kind == "string":
        return "'" + node.value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if node.kind == "boolean":
        return "true" if node.value else "false"
    if node.kind == "empty":
        return "{}"
    return f"{node.value:f}" if isinstance(node.value, Decimal) else str(node.value)
