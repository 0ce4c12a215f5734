"""The operators and functions that closures apply to collections; those that are empty answer with an empty one.

Spec: https://hl7.org/fhirpath/N1/#operations, https://hl7.org/fhirpath/N1/#boolean-logic
"""
from __future__ import annotations

import operator
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from ...errors import ExpressionFailed
from .places import TEMPORAL
from .run import Beyond, Collection


def single(values: Collection, of: str) -> Collection:
    """A collection where one value at most is expected.

    :raises ExpressionFailed: there are several
    """
    if len(values) > 1:
        raise ExpressionFailed(f"{of} takes one value, and here are {len(values)}; say which by first() or where()")
    return values


def truth(values: Collection, of: str) -> bool | None:
    """A condition's answer; None is empty, and one value that is no boolean counts as true.

    Spec: https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections
    """
    return single(values, of)[0][0] is not False if values else None


def _logic(name: str, answer: Callable) -> Callable:
    def apply(left, right):
        return _boolean(answer(truth(left, name), truth(right, name)))
    return apply


def _boolean(answer: bool | None) -> Collection:
    return [] if answer is None else [(answer, "")]


def _and(left, right):
    return False if left is False or right is False else None if left is None or right is None else True


def _or(left, right):
    return True if left or right else None if left is None or right is None else False


def _xor(left, right):
    return None if left is None or right is None else left is not right


def _implies(left, right):
    return _or(None if left is None else not left, right)


def _equal(left: Collection, right: Collection) -> bool | None:
    if not left or not right:
        return None
    return len(left) == len(right) and all(map(_same, left, right))


def _same(left: tuple[Any, str], right: tuple[Any, str]) -> bool:
    (a, kind), (b, other) = left, right
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if _is_resource(a) and a is not b:
        raise Beyond    # the child has a deadline
    if a == b:
        return True
    # 10:00Z is 12:00+02:00, 1 g is 1000 mg: the engine converts.
    if kind in TEMPORAL and other in TEMPORAL or isinstance(a, dict) and isinstance(b, dict) and "value" in a:
        raise Beyond
    return False


def _is_resource(value: Any) -> bool:
    return isinstance(value, dict) and "resourceType" in value


def _unequal(left, right):
    answer = _equal(left, right)
    return None if answer is None else not answer


def _is_in(left, right):
    if not left:
        return None
    return bool(right) and any(_same(*single(left, "in"), other) for other in right)


def _compare(name: str, compare: Callable) -> Callable:
    def apply(left, right):
        if not left or not right:
            return []
        (a, kind), (b, other) = single(left, name)[0], single(right, name)[0]
        texts = isinstance(a, str) and isinstance(b, str) and not {kind, other} & TEMPORAL
        if texts or _is_number(a) and _is_number(b):
            return [(compare(a, b), "")]
        raise Beyond
    return apply


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def _union(left: Collection, right: Collection) -> Collection:
    """Without what is equal to one before it."""
    found: dict = {}
    for value, kind in left + right:
        key = _sorted.encode(value) if isinstance(value, dict) else (isinstance(value, bool), value)
        found.setdefault(key, (value, kind))
    return list(found.values())


_sorted = msgspec.json.Encoder(order="sorted")


OPERATORS: dict[str, Callable[[Collection, Collection], Collection]] = {
    "and": _logic("and", _and), "or": _logic("or", _or),
    "xor": _logic("xor", _xor), "implies": _logic("implies", _implies),
    "=": lambda left, right: _boolean(_equal(left, right)),
    "!=": lambda left, right: _boolean(_unequal(left, right)),
    "in": lambda left, right: _boolean(_is_in(left, right)),
    "contains": lambda left, right: _boolean(_is_in(right, left)),
    "<": _compare("<", operator.lt), "<=": _compare("<=", operator.le),
    ">": _compare(">", operator.gt), ">=": _compare(">=", operator.ge),
    "|": _union,
}

# What the left side may be for the right one not to matter, and the answer then.
DECIDED = {"and": (False, False), "or": (True, True), "implies": (False, True)}


def _not(values: Collection) -> Collection:
    answer = truth(values, "not()")
    return _boolean(None if answer is None else not answer)


# Without arguments.
FUNCTIONS: dict[str, Callable[[Collection], Collection]] = {
    "exists": lambda values: [(bool(values), "")],
    "empty": lambda values: [(not values, "")],
    "not": _not,
    "count": lambda values: [(len(values), "")],
    "first": lambda values: values[:1],
    "last": lambda values: values[-1:],
    "tail": lambda values: values[1:],
    "single": lambda values: single(values, "single()"),
}
