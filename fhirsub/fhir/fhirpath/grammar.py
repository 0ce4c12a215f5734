"""Reads FHIRPath into a :mod:`.tree`, or says at which position it is wrong and what would do.

Spec: https://hl7.org/fhirpath/N1/#grammar
"""
from __future__ import annotations

from decimal import Decimal
from typing import Any

from .tokens import Token, tokens, wrong
from .tree import UNITS, Binary, Call, Item, Literal, Member, Sign, Special, TypeTest, Variable

# What people write is nested five deep; the parser and all who walk the tree recurse.
MAX_DEPTH = 50
# Loosest first. All of them group from the left.
_LEVELS = (("implies",), ("or", "xor"), ("and",), ("in", "contains"), ("=", "!=", "~", "!~"), ("<", ">", "<=", ">="),
           ("|",), ("is", "as"), ("+", "-", "&"), ("*", "/", "div", "mod"))
_PRECEDENCE = {operator: level for level, operators in enumerate(_LEVELS) for operator in operators}


def parse(text: str) -> Any:
    """The tree of an expression.

    :raises ValueError: not FHIRPath, or nested over 50 deep; tells the position
    """
    reader = _Reader(tokens(text))
    tree = reader.operation(0)
    if reader.next.kind != "end":
        raise reader.unexpected("an operator or the end")
    return tree


class _Reader:
    def __init__(self, words: list[Token]):
        self.words = words
        self.depth = 0

    @property
    def next(self) -> Token:
        return self.words[-1]

    def unexpected(self, wanted: str) -> ValueError:
        found, hint = self.next.text, ""
        if self.next.kind == "name" and found.lower() in _PRECEDENCE:
            hint = f"; FHIRPath says {found.lower()}"
        elif found == "," and wanted == ")":
            hint = "; FHIRPath joins values with |: ('a' | 'b')"
        return wrong(self.next.at, f"expected {wanted}, found {found}{hint}")

    def take(self, *signs: str) -> Token | None:
        return self.words.pop() if self.next.kind == "sign" and self.next.text in signs else None

    def expect(self, sign: str) -> None:
        if not self.take(sign):
            raise self.unexpected(sign)

    def operation(self, level: int) -> Any:
        """An operation whose operator binds at least as tight as ``level`` says, or a path."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise wrong(self.next.at, f"nested too deeply: expected at most {MAX_DEPTH} levels")
        left = self.signed()
        while self.next.kind in ("sign", "name") and _PRECEDENCE.get(self.next.text, -1) >= level:
            operator = self.words.pop().text
            if operator in ("is", "as"):
                left = TypeTest(left.at, left, operator, self.type())
            else:
                left = Binary(left.at, operator, left, self.operation(_PRECEDENCE[operator] + 1))
        self.depth -= 1
        return left

    def signed(self) -> Any:
        sign = self.take("+", "-")
        return Sign(sign.at, sign.text, self.path()) if sign else self.path()

    def type(self) -> str:
        names = [self.name()]
        while self.take("."):
            names.append(self.name())
        return ".".join(names)

    def path(self) -> Any:
        node = self.term()
        while True:
            if self.take("."):
                node = self.step(node)
            elif self.take("["):
                node = Item(node.at, node, self.operation(0))
                self.expect("]")
            else:
                return node

    def step(self, of: Any) -> Any:
        """An element or a function of what stands before the dot, if anything does."""
        at, special = self.next.at, self.next.kind == "special"
        if special:
            return Special(at, self.words.pop().text)
        name = self.name()
        if not self.take("("):
            # "this" is what the TriggerDefinition examples in circulation say.
            return Special(at, "this") if of is None and name == "this" else Member(at, of, name)
        arguments = []
        while not self.take(")"):
            if arguments:
                self.expect(",")
            arguments.append(self.operation(0))
        return Call(at, of, name, tuple(arguments))

    def name(self) -> str:
        if self.next.kind not in ("name", "quoted"):
            raise self.unexpected("a name")
        return self.words.pop().text

    def term(self) -> Any:
        word = self.next
        if self.take("("):
            node = self.operation(0)
            self.expect(")")
            return node
        if self.take("{"):
            self.expect("}")
            return Literal(word.at, "empty", None)
        if word.kind in ("string", "temporal", "variable"):
            self.words.pop()
            return Variable(word.at, word.text) if word.kind == "variable" else Literal(word.at, word.kind, word.text)
        if word.kind == "number":
            return self.number()
        if word.kind == "name" and word.text in ("true", "false"):
            self.words.pop()
            return Literal(word.at, "boolean", word.text == "true")
        if word.kind in ("name", "quoted", "special"):
            return self.step(None)
        raise self.unexpected("a path or a value")

    def number(self) -> Literal:
        """``4``, ``4.0``, or a quantity: ``4 days``, ``4 'mg'``."""
        word = self.words.pop()
        if self.next.kind == "string" or self.next.kind == "name" and self.next.text in UNITS:
            unit = self.words.pop()
            shown = f"'{unit.text}'" if unit.kind == "string" else unit.text
            return Literal(word.at, "quantity", f"{word.text} {shown}")
        return Literal(word.at, "number", Decimal(word.text) if "." in word.text else int(word.text))
