"""What fhirpathpy 2.2 gets wrong, put right in the process that asks for it.

- ``where()`` evaluates its condition twice, which doubles with each level, and leaves ``$this`` behind
- ``=`` looks at the first value only; dates and quantities are compared as texts, or not at all; ``now()`` is a text
- ``1 in true`` holds
- ``single()`` and ``not()`` take several values; ``and``, ``all()`` and others refuse one that is no boolean
- ``extension()`` finds one only; a path begins with the type of a resource, and no abstract one

Spec: https://hl7.org/fhirpath/N1/#functions, https://hl7.org/fhirpath/N1/#operations
"""
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from fhirpathpy import engine
from fhirpathpy.engine import util
from fhirpathpy.engine.invocations import datetime, equality, filtering, invocation_registry
from fhirpathpy.engine.nodes import FP_DateTime, FP_Quantity, FP_Time, FP_Type, ResourceNode, TypeInfo
from fhirpathpy.engine.util import get_data
from fhirpathpy.models import models

from .places import ABSTRACT, PRIMITIVES, TEMPORAL, specializes


def _members(engines: Callable) -> Callable:
    def member(context, this, node):
        name = node["children"][0]["text"].strip("`")
        if name[0].isupper():   # a type, where a path begins
            return [one for one in this if isinstance(one, ResourceNode) and (one.path == name or name in ABSTRACT)]
        return engines(context, this, node)
    return member


def _where(context: dict, values: list, condition: Callable) -> list:
    found = []
    for index, value in enumerate(values):
        context["$index"] = index
        if _is_true(condition(value)):
            found.append(value)
    return found


def _is_true(values: list) -> bool:
    return all(map(_boolean, _one(values))) and bool(values)


def _one(values: list) -> list:
    if len(values) > 1:
        raise ValueError("one value is expected")
    return values


def _single(context: dict, values: list) -> list:
    return _one(values)


def _extension(context: dict, values: list, url: str) -> list:
    found = (one for value in values if isinstance(data := get_data(value), dict) for one in data.get("extension", ()))
    return [ResourceNode.create_node(one, "Extension") for one in found if one.get("url") == url]


def _restoring(make: Callable) -> Callable:
    """Make arguments that leave ``$this`` as they found it."""
    def make_param(context, this, kind, argument):
        made = make(context, this, kind, argument)
        return _restored(context, made) if kind == "Expr" else made
    return make_param


def _restored(context: dict, argument: Callable) -> Callable:
    def apply(value):
        kept = {name: context.get(name, context["dataRoot"]) for name in ("$this", "$index", "$total")}
        try:
            return argument(value)
        finally:
            context.update(kept)
    return apply


def _this(context: dict, this: list, node: dict) -> list:
    return context.get("$this", context["dataRoot"])


def _not(context: dict, values: list) -> list:
    return [not _boolean(value) for value in _one(values)]


def _boolean(value: Any) -> bool:
    """One value that is no boolean counts as true."""
    return get_data(value) is not False


def _equal(context: dict, left: list, right: list) -> list:
    left, right = _values(left), _values(right)
    if len(left) != len(right):
        return [False]
    answers = [_same(context, *map(_value, pair)) for pair in zip(left, right)]
    return [False] if False in answers else [] if None in answers else [True]


def _same(context: dict, left: Any, right: Any) -> bool | None:
    if isinstance(left, FP_Quantity) and isinstance(right, FP_Quantity):
        return _ratio(left, right, operator.eq)
    if isinstance(left, FP_Type) and isinstance(right, FP_Type):
        return equality.datetime_equality(context, [left], [right])
    left, right = get_data(left), get_data(right)
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, FP_Type) or isinstance(right, FP_Type):
        return str(getattr(left, "asStr", left)) == str(getattr(right, "asStr", right))
    return left == right


def _unequal(context: dict, left: list, right: list) -> list:
    return [not answer for answer in _equal(context, left, right)]


def _in(context: dict, left: list, right: list) -> list | bool:
    if not left:
        return []
    one, = map(_value, _one(_values(left)))
    return any(_same(context, one, _value(other)) for other in _values(right))


def _contains(context: dict, left: list, right: list) -> list | bool:
    return _in(context, right, left)


def _comparing(name: str, compare: Callable) -> Callable:
    engines = invocation_registry[name]["fn"]

    def apply(context, left, right):
        values = [_value(*_one(_values(side))) for side in (left, right)]
        if all(isinstance(value, FP_Quantity) for value in values):
            answer = _ratio(*values, compare)
            return [] if answer is None else [answer]
        return engines(context, *([value] for value in values))
    return apply


def _ratio(left: FP_Quantity, right: FP_Quantity, compare: Callable) -> bool | None:
    """Compare in the unit of the right one; None if the engine cannot convert into it."""
    if left.unit != right.unit:
        left = FP_Quantity.conv_unit_to(left.unit, left.value, right.unit)
    return None if left is None else compare(left.value, right.value)


def _values(nodes: list) -> list:
    """Without the extensions that the engine puts beside a primitive."""
    return [node for node in nodes
            if not (isinstance(node, ResourceNode) and node.path in PRIMITIVES and isinstance(node.data, dict))]


def _value(node: Any) -> Any:
    """A node, or the date, time or quantity that it is."""
    kind = node.path if isinstance(node, ResourceNode) else None
    if kind in TEMPORAL:
        return (FP_Time if kind == "time" else FP_DateTime)(node.data) or node
    if kind and isinstance(node.data, dict) and specializes(kind, "Quantity") and node.data.get("value") is not None:
        unit = node.data.get("code") or node.data.get("unit") or "1"
        return FP_Quantity(node.data["value"], f"'{unit}'")
    if isinstance(node, FP_Quantity):   # 4 days is 4 'd', and 4 is 4 '1'
        return FP_Quantity(node.value, FP_Quantity.timeUnitsToUCUM.get(node.unit, node.unit or "'1'"))
    return node


def _clock(kind: type, function: Callable) -> Callable:
    return lambda context, values: kind(function(context, values))


def correct() -> None:
    """Change the engine of this process, once."""
    filtering.where_macro = _where
    util.is_true = _is_true
    engine.param_check_table["Boolean"] = _boolean
    engine.make_param = _restoring(engine.make_param)
    engine.evaluators["ThisInvocation"] = _this
    engine.evaluators["MemberInvocation"] = _members(engine.evaluators["MemberInvocation"])
    TypeInfo.model = models["r4"]   # ofType() needs it, and only is and as set it
    corrected = {"where": _where, "single": _single, "not": _not, "extension": _extension, "=": _equal, "!=": _unequal,
                 "inOp": _in, "containsOp": _contains,
                 "<": _comparing("<", operator.lt), "<=": _comparing("<=", operator.le),
                 ">": _comparing(">", operator.gt), ">=": _comparing(">=", operator.ge),
                 "now": _clock(FP_DateTime, datetime.now), "today": _clock(FP_DateTime, datetime.today),
                 "timeOfDay": _clock(FP_Time, datetime.timeOfDay)}
    for name, function in corrected.items():
        invocation_registry[name]["fn"] = function
