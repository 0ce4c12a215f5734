"""The part of FHIRPath that search parameters are written in, as a tree.

Spec: https://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/search.html#fhirpath
"""
from __future__ import annotations

import re
from typing import Any, NamedTuple


class NotPlain(ValueError):
    """The expression, or a part of it, is beyond what is read here; the full engine may still take it."""


class Start(NamedTuple):
    """Where a path begins: the node at hand, or with ``resource`` the whole resource (``%resource``)."""

    resource: bool = False


class Child(NamedTuple):
    of: Any
    name: str


class OfType(NamedTuple):
    of: Any
    type: str


class Where(NamedTuple):
    of: Any
    condition: Any


class Item(NamedTuple):
    of: Any
    number: int


class Union(NamedTuple):
    left: Any
    right: Any


class Exists(NamedTuple):
    of: Any


class Resolves(NamedTuple):
    """``resolve() is Patient``"""

    of: Any
    type: str


class Equals(NamedTuple):
    of: Any
    literal: Any
    negated: bool


class And(NamedTuple):
    left: Any
    right: Any


class _Resolve(NamedTuple):
    of: Any


_TOKEN = re.compile(r"\s*(?:([A-Za-z_]\w*)|(\d+)|'([^'\\]*)'|(!=|%resource|\$this|[.()|\[\]=]))", re.ASCII)


def parse(expression: str) -> Any:
    """The tree of ``expression``.

    :raises NotPlain: a function, operator or literal that is not read here, or no FHIRPath at all
    """
    reader = _Reader(expression)
    tree = reader.conjunction()
    reader.expect("end", None)
    return tree


class _Reader:
    """Recursive descent, one method for each level of precedence, loosest first."""

    def __init__(self, expression: str):
        self.expression = expression
        self.tokens = _tokens(expression)

    def take(self, kind: str, *values: Any) -> bool:
        """Step over the next token if it is of this kind and among these values."""
        found = self.tokens[-1][0] == kind and (not values or self.tokens[-1][1] in values)
        if found:
            self.taken = self.tokens.pop()[1]
        return found

    def expect(self, kind: str, *values: Any) -> Any:
        if not self.take(kind, *values):
            raise NotPlain(f"{self.expression}: expected {values[0] if values else kind}, found {self.tokens[-1][1]!r}")
        return self.taken

    def conjunction(self):
        node = self.equality()
        while self.take("name", "and"):
            node = And(node, self.equality())
        return node

    def equality(self):
        node = self.union()
        if self.take("sign", "=", "!="):
            negated = self.taken == "!="
            node = Equals(node, self.literal(), negated)
        return node

    def literal(self):
        if self.take("name", "true", "false"):
            return self.taken == "true"
        return self.taken if self.take("number") else self.expect("string")

    def union(self):
        node = self.typed()
        while self.take("sign", "|"):
            node = Union(node, self.typed())
        return node

    def typed(self):
        node = self.path()
        if self.take("name", "as"):
            return OfType(node, self.expect("name"))
        if isinstance(node, _Resolve):
            self.expect("name", "is")
            return Resolves(node.of, self.expect("name"))
        return node

    def path(self):
        node = self.first()
        while True:
            if self.take("sign", "."):
                node = self.step(node)
            elif self.take("sign", "["):
                node = Item(node, self.expect("number"))
                self.expect("sign", "]")
            else:
                return node

    def first(self):
        if self.take("sign", "("):
            node = self.conjunction()
            self.expect("sign", ")")
            return node
        if self.take("sign", "%resource", "$this"):
            return Start(self.taken == "%resource")
        return self.step(Start())

    def step(self, of):
        """An element, or a function applied to ``of``."""
        name = self.expect("name")
        if not self.take("sign", "("):
            return Child(of, name)
        node = self.function(of, name)
        self.expect("sign", ")")
        return node

    def function(self, of, name):
        if name in ("ofType", "as"):
            return OfType(of, self.expect("name"))
        if name == "where":
            return Where(of, self.conjunction())
        if name == "exists":
            return Exists(of)
        if name == "first":
            return Item(of, 0)
        if name == "resolve":
            return _Resolve(of)
        if name == "extension":
            return Where(Child(of, "extension"), Equals(Child(Start(), "url"), self.expect("string"), False))
        raise NotPlain(f"{self.expression}: {name}() is not plain")


def _tokens(expression: str) -> list[tuple[str, Any]]:
    """Last token first, so that the next one is popped; ``("end", None)`` is at the bottom."""
    found, position, end = [], 0, len(expression.rstrip())
    while position < end:
        token = _TOKEN.match(expression, position)
        if not token:
            raise NotPlain(f"{expression}: cannot read {expression[position:position + 20]!r}")
        name, number, string, sign = token.groups()
        if name is not None:
            found.append(("name", name))
        elif number is not None:
            found.append(("number", int(number)))
        else:
            found.append(("sign", sign) if sign else ("string", string))
        position = token.end()
    return [("end", None), *reversed(found)]
