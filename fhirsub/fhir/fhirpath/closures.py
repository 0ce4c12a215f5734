"""Compile what triggers mostly say to Python closures; what is beyond them is for the :mod:`.sandbox`.

A closure is called with the :class:`Run` and ``$this`` and gives a collection: a list of ``(JSON value, type)``. The
types are looked up while it runs, so one closure serves all resource types and what ``resolve()`` brings.
Spec: https://hl7.org/fhirpath/N1/
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import operators
from .places import ABSTRACT, PRIMITIVES, places, specializes
from .run import Beyond, Collection, Run, node, nodes
from .tree import Binary, Call, Item, Literal, Member, Special, TypeTest, Variable, type_name

Closure = Callable[[Run, Collection], Collection]


def compile(tree: Any) -> Closure:
    """The closure for a tree.

    :raises Beyond: a part of it is for the full engine
    """
    return _COMPILERS.get(type(tree), _beyond)(tree)


def compile_in_part(tree: Any) -> Closure:
    """The closure for a tree, which raises Beyond only where a part that is beyond it decides: at ``now() > …`` in
    ``status = 'arrived' and now() > …``, but for those only that have arrived.
    """
    try:
        return compile(tree)
    except Beyond:
        if isinstance(tree, Binary) and tree.operator in operators.DECIDED:
            return _logic(tree.operator, compile_in_part(tree.left), compile_in_part(tree.right))
        return _run_beyond


def _run_beyond(run: Run, this: Collection) -> Collection:
    raise Beyond


def _beyond(tree: Any) -> Closure:
    raise Beyond


def _literal(tree: Literal) -> Closure:
    if tree.kind in ("temporal", "quantity"):
        raise Beyond
    constant: Collection = [] if tree.kind == "empty" else [(tree.value, "")]
    return lambda run, this: constant


def _variable(tree: Variable) -> Closure:
    name = tree.name
    if name in ("current", "previous"):
        return lambda run, this: getattr(run, name)
    if name in ("resource", "rootResource", "context"):
        return lambda run, this: run.resource
    return lambda run, this: run.value(name)


def _special(tree: Special) -> Closure:
    if tree.name != "this":
        raise Beyond
    return lambda run, this: this


def _member(tree: Member) -> Closure:
    name = tree.name
    if tree.of is None and name[0].isupper():
        return lambda run, this: [one for one in this if one[1] == name or name in ABSTRACT]
    of = _of(tree)

    def member(run, this):
        found: Collection = []
        for value, kind in of(run, this):
            if kind in PRIMITIVES or not kind:
                raise Beyond    # what stands beside a primitive, or in a value of unknown type
            if type(value) is not dict:
                continue
            for key, inner in places(kind, name):
                if (child := value.get(key)) is not None:
                    found += nodes(child, inner)
                elif "_" + key in value:
                    raise Beyond
        run.spend(len(found))
        return found
    return member


def _item(tree: Item) -> Closure:
    if not (isinstance(tree.index, Literal) and type(tree.index.value) is int):
        raise Beyond
    of, number = compile(tree.of), tree.index.value
    return lambda run, this: of(run, this)[number:number + 1]


def _type_test(tree: TypeTest) -> Closure:
    of, wanted, testing = compile(tree.of), tree.type.removeprefix("FHIR."), tree.operator == "is"
    if wanted.startswith("System."):
        raise Beyond

    def test(run, this):
        found = operators.single(of(run, this), tree.operator)
        fits = [one for one in found if _fits(one[1], wanted)]
        return [(bool(fits), "")] if testing and found else fits
    return test


def _fits(kind: str, wanted: str) -> bool:
    if not kind:
        raise Beyond
    return specializes(kind, wanted)


def _binary(tree: Binary) -> Closure:
    if tree.operator not in operators.OPERATORS:
        raise Beyond
    left, right = compile(tree.left), compile(tree.right)
    if tree.operator in operators.DECIDED:
        return _logic(tree.operator, left, right)
    apply = operators.OPERATORS[tree.operator]
    return lambda run, this: apply(left(run, this), right(run, this))


def _logic(name: str, left: Closure, right: Closure) -> Closure:
    """The right side is asked only if the left one does not decide."""
    apply, (deciding, answer) = operators.OPERATORS[name], operators.DECIDED[name]

    def logic(run, this):
        found = left(run, this)
        if len(found) == 1 and found[0][0] is deciding:
            return [(answer, "")]
        return apply(found, right(run, this))
    return logic


def _of(tree: Member | Call) -> Closure:
    return compile(tree.of) if tree.of is not None else lambda run, this: this


def _call(tree: Call) -> Closure:
    of, name = _of(tree), tree.name
    if name in operators.FUNCTIONS and not tree.arguments:
        apply = operators.FUNCTIONS[name]
        return lambda run, this: apply(of(run, this))
    if name in ("where", "exists", "all", "select"):
        return _on_each(of, name, compile(tree.arguments[0]))
    if name == "ofType":
        wanted = (type_name(tree.arguments[0]) or "").removeprefix("FHIR.")
        if wanted.startswith("System."):
            raise Beyond
        return lambda run, this: [one for one in of(run, this) if _fits(one[1], wanted)]
    if name in ("as", "is"):
        of_what = tree.of or Special(tree.at, "this")
        return _type_test(TypeTest(tree.at, of_what, name, type_name(tree.arguments[0]) or ""))
    if name == "extension":
        return _extension(tree)
    if name == "resolve":
        return lambda run, this: [node(found, "") for one in of(run, this) for found in run.resolved(one[0])]
    raise Beyond


def _extension(tree: Call) -> Closure:
    """``extension('…')`` is ``extension.where(url = '…')``."""
    of = _member(Member(tree.at, tree.of, "extension"))
    url = compile(tree.arguments[0])

    def extension(run, this):
        wanted = [value for value, _ in url(run, this)]
        return [one for one in of(run, this) if type(one[0]) is dict and [one[0].get("url")] == wanted]
    return extension


def _on_each(of: Closure, name: str, argument: Closure) -> Closure:
    def answers(run, this):
        found = of(run, this)
        run.spend(len(found))
        return [(one, argument(run, [one])) for one in found]

    def where(run, this):
        return [one for one, answer in answers(run, this) if operators.truth(answer, name)]

    if name == "where":
        return where
    if name == "exists":
        return lambda run, this: [(bool(where(run, this)), "")]
    if name == "all":
        return lambda run, this: [(all(operators.truth(answer, name) for _, answer in answers(run, this)), "")]
    return lambda run, this: [each for _, answer in answers(run, this) for each in answer]


_COMPILERS = {Literal: _literal, Variable: _variable, Special: _special, Member: _member, Item: _item,
              TypeTest: _type_test, Binary: _binary, Call: _call}
