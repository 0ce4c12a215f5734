"""One FHIRPath expression of a client: read once, then evaluated on one change after another.

Spec: https://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html,
https://hl7.org/fhir/R4/metadatatypes-definitions.html#TriggerDefinition.condition
"""
from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from ...errors import ExpressionFailed
from . import closures, sandbox
from .checking import check
from .run import TOO_COSTLY, Beyond, Run, Scope
from .tree import Binary, Variable, text as text_of, walk
from .vetting import BUILT_IN, vet

__all__ = ["Expression", "ExpressionFailed", "Scope", "read"]

MAX_COSTLY = 3
REST = 100  # evaluations; the one after shows whether it does better


class Expression:
    """FHIRPath that was read and found fit to be evaluated here.

    :ivar text: as the client wrote it
    :ivar parameters: names of the ``%name`` in it that are not built in
    :ivar looks_back: whether it asks for the version before, ``%previous``
    """

    def __init__(self, text: str, tree: Any, parameters: frozenset[str]):
        self.text = text
        self.parameters = parameters
        self.looks_back = any(isinstance(node, Variable) and node.name == "previous" for node in walk(tree))
        self._tree = tree
        self._full_text = text_of(tree)
        self._equalities: tuple[tuple[Expression, str], ...] | None = None
        self._costly = self._rests = 0
        self._closure = closures.compile_in_part(tree)

    def evaluate(self, scope: Scope) -> list[Any]:
        """The JSON values that the expression selects.

        An expression that was too costly several times in a row rests, so that it does not hold up all others.

        :raises ExpressionFailed: too costly, or wrong for these values; the text tells nothing of them
        """
        if self._rests:
            self._rests -= 1
            raise ExpressionFailed(f"the expression was too costly {MAX_COSTLY} times in a row, and is tried on one of "
                                   f"{REST + 1} resources only; narrow its paths", code=TOO_COSTLY)
        try:
            found = self._evaluate(scope)
        except ExpressionFailed as error:
            self._costly = self._costly + 1 if error.issues[0].code == TOO_COSTLY else 0
            self._rests = REST if self._costly >= MAX_COSTLY else 0
            raise
        self._costly = 0
        return found

    def _evaluate(self, scope: Scope) -> list[Any]:
        run = Run(scope)
        with suppress(Beyond):
            return [value for value, _ in self._closure(run, run.resource)]
        return sandbox.evaluate(self._full_text, scope, self.parameters)

    def holds(self, scope: Scope) -> bool:
        """Whether the expression is true; empty is not, and one value that is no boolean is.

        :raises ExpressionFailed: too costly, or wrong for these values; several values
        """
        found = self.evaluate(scope)
        if len(found) > 1:
            raise ExpressionFailed("a condition gives one value, and this one gave several; end it with .exists()")
        return bool(found) and found[0] is not False

    def equalities(self) -> tuple[tuple[Expression, str], ...]:
        """What must be equal for the expression to be true: conjuncts ``path = %name``, ``%name = path``,
        ``%name in path`` and ``path contains %name``.

        :returns: ``((path, name), …)``: each path selects the value of its parameter, perhaps among others
        """
        if self._equalities is None:
            self._equalities = tuple(
                (Expression(text_of(path), path, frozenset()), name.name)
                for conjunct in _conjuncts(self._tree) for path, name in _sides(conjunct)
                if isinstance(name, Variable) and name.name not in BUILT_IN and not _parameters(path))
        return self._equalities


def read(text: str, types: Iterable[str] = (), *, parameters: Collection[str] | None = ()) -> Expression:
    """Read what a client wrote.

    :param types: resource types that it will see; none: any
    :param parameters: names of the ``%name`` that will have a value; None: any name will do
    :raises ValueError: not FHIRPath, not allowed here, or about an element that the types do not have; tells the
        position and what would do
    """
    tree, used = vet(text, parameters)
    types = frozenset(types)
    check(tree, types or None, types or None)
    expression = Expression(text, tree, used)
    _try(expression, min(types, default="Basic"))
    return expression


def _try(expression: Expression, resource_type: str) -> None:
    """Find what only the engine sees: a unit or date that is none, an operator between what it does not join."""
    empty = {"resourceType": resource_type}
    try:
        expression.evaluate(Scope(empty, empty, dict.fromkeys(expression.parameters)))
    except ExpressionFailed as error:
        if error.issues[0].code == ExpressionFailed.code:
            raise ValueError(str(error)) from None


def _conjuncts(tree: Any) -> Iterator[Any]:
    if isinstance(tree, Binary) and tree.operator == "and":
        yield from _conjuncts(tree.left)
        yield from _conjuncts(tree.right)
    else:
        yield tree


def _sides(tree: Any) -> Sequence[tuple[Any, Any]]:
    """Where an equality has its path and its parameter, if it is one; ``=`` may have them either way."""
    if not isinstance(tree, Binary):
        return ()
    left, right = tree.left, tree.right
    pairs = {"=": ((left, right), (right, left)), "in": ((right, left),), "contains": ((left, right),)}
    return pairs.get(tree.operator, ())


def _parameters(tree: Any) -> set[str]:
    return {node.name for node in walk(tree) if isinstance(node, Variable)} - BUILT_IN
