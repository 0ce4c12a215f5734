"""Compile the FHIRPath of search parameters to Python closures, some forty times faster than the full engine.

The types of elements are known from R4's structures, so an expression becomes a few lists of JSON keys: ``value`` of an
Observation is eleven of them, ``valueQuantity``, ``valueString`` and so on, each with the one type it can have.
Spec: https://hl7.org/fhirpath/N1/, https://hl7.org/fhir/R4/fhirpath.html
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ..definitions.structures import elements
from . import conditions
from .syntax import And, Child, Equals, Exists, Item, NotPlain, OfType, Resolves, Start, Union, Where, parse

Extract = Callable[..., "list[tuple[Any, str]]"]


class Path(NamedTuple):
    """Where values of one type are.

    :param steps: JSON keys; or functions ``step(values, resource) -> values``, which filter or compute
    :param type: ``Quantity``, ``Observation.component``; a code from a required value set names it,
        ``code:observation-status``
    :param whole: the path begins at the resource (``%resource``) and not at the node at hand
    """

    steps: tuple
    type: str
    whole: bool = False

    def step(self, step: Any, kind: str | None = None) -> Path:
        return Path(self.steps + (step,), kind or self.type, self.whole)


@lru_cache(maxsize=4096)    # R4's own are 1700
def compile(expression: str, resource_type: str, here: str = "") -> Extract:
    """A function that finds what ``expression`` selects: ``extract(node, resource=node) -> [(value, type), …]``.

    ``extract({"resourceType": "Observation", "status": "final"})`` is ``[("final", "code:observation-status")]`` for
    ``Observation.status``. Values are the JSON as it is, null left out.

    :param resource_type: the type of ``%resource``
    :param here: the type of the node at hand, ``Observation.component``; the resource itself if not given
    :raises ValueError: neither plain nor FHIRPath that the engine can parse
    """
    try:
        paths = _paths(parse(expression), _Scope(here or resource_type, resource_type))
    except NotPlain:
        # Not imported before: it costs 150 ms and 12 MB, and no parameter of R4 needs it.
        from .engine import compile as compile_in_full
        return compile_in_full(expression, here or resource_type)
    return _extract([(_walk(path.steps), path.type, path.whole) for path in paths])


def types(expression: str, resource_type: str, here: str = "") -> tuple[str, ...]:
    """The types that a plain expression may yield.

    :raises NotPlain: only the engine can tell
    """
    return tuple(path.type for path in _paths(parse(expression), _Scope(here or resource_type, resource_type)))


def beginnings(expression: str, resource_type: str) -> frozenset[str] | None:
    """The JSON keys of a resource without any of which ``expression`` selects nothing; None if it may even so."""
    try:
        paths = _paths(parse(expression), _Scope(resource_type, resource_type))
    except NotPlain:
        return None
    keys = {path.steps[0] if path.steps else None for path in paths}
    return frozenset(keys) if all(isinstance(key, str) for key in keys) else None


class _Scope(NamedTuple):
    here: str
    resource_type: str


def _paths(node: Any, scope: _Scope) -> list[Path]:
    """The paths that a tree of :mod:`.syntax` stands for."""
    if isinstance(node, Start):
        return [Path((), scope.resource_type, True) if node.resource else Path((), scope.here)]
    if isinstance(node, Union):
        return _paths(node.left, scope) + _paths(node.right, scope)
    if isinstance(node, (And, Equals, Exists, Resolves)):
        return [Path((_computed(_condition(node, scope)),), "boolean")]
    paths = _paths(node.of, scope)
    if isinstance(node, Child):
        return [longer for path in paths for longer in _children(path, node.name)]
    if isinstance(node, OfType):
        # R4's own composites say DateTime for dateTime.
        return [path for path in paths if path.type.lower() == node.type.lower()]
    if isinstance(node, Where):
        return [path.step(_where(_condition(node.condition, scope._replace(here=path.type)))) for path in paths]
    assert isinstance(node, Item)
    if len(paths) != 1:
        raise NotPlain("an item of a collection of several types")
    return [paths[0].step(_item(node.number))]


def _children(path: Path, name: str) -> list[Path]:
    if name[0].isupper():   # a type, at the start of an expression
        return [path] if not path.steps and name in (path.type, "Resource", "DomainResource") else []
    try:
        element = next(one for one in elements(path.type) if one.name == name)
    except (KeyError, StopIteration):
        raise NotPlain(f"{path.type} has no element {name}") from None
    if element.choice:
        return [path.step(name + kind[0].upper() + kind[1:], kind) for kind in element.types]
    return [path.step(name, f"{element.types[0]}:{element.value_set}" if element.value_set else element.types[0])]


def _condition(node: Any, scope: _Scope) -> conditions.Condition:
    if isinstance(node, And):
        return conditions.both(_condition(node.left, scope), _condition(node.right, scope))
    if isinstance(node, (Equals, Exists, Resolves)):
        extract = _extract([(_walk(path.steps), path.type, path.whole) for path in _paths(node.of, scope)])
        if isinstance(node, Equals):
            return conditions.equals(extract, node.literal, node.negated)
        return conditions.exists(extract) if isinstance(node, Exists) else conditions.resolves(extract, node.type)
    raise NotPlain("a condition is an equation, exists(), resolve() is, or several joined by 'and'")


def _where(condition: conditions.Condition) -> Callable:
    return lambda values, resource: [value for value in values if condition(value, resource)]


def _item(number: int) -> Callable:
    return lambda values, resource: values[number:number + 1]


def _computed(condition: conditions.Condition) -> Callable:
    def compute(values, resource):
        answer = condition(values[0], resource)
        return () if answer is None else (answer,)
    return compute


def _extract(walks: list[tuple[Callable, str, bool]]) -> Extract:
    def extract(node, resource=None):
        resource = resource or node
        found = []
        for walk, kind, whole in walks:
            values = walk(resource if whole else node, resource)
            if values:
                found += [(value, kind) for value in values]
        return found
    return extract


def _walk(steps: tuple) -> Callable[[Any, dict], Sequence]:
    """``walk(node, resource)``: the values at the end of ``steps``, with a short cut for a single key."""
    if len(steps) == 1 and isinstance(steps[0], str):
        key, = steps
        return lambda node, resource: _values(node, key)

    def walk(node, resource):
        values: Sequence = (node,)
        for step in steps:
            if callable(step):
                values = step(values, resource)
            elif len(values) == 1:
                values = _values(values[0], step)
            else:
                values = [found for value in values for found in _values(value, step)]
            if not values:
                return ()
        return values
    return walk


def _values(node: Any, key: str) -> Sequence:
    """What stands under ``key``, as a list; an array may be padded with null."""
    if type(node) is not dict:
        return ()
    value = node.get(key)
    if value is None:
        return ()
    if type(value) is not list:
        return (value,)
    return [one for one in value if one is not None] if None in value else value
