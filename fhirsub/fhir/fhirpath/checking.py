"""Finds the paths that lead nowhere, before an expression is silently empty for ever.

Spec: https://hl7.org/fhir/R4/fhirpath.html#types, https://hl7.org/fhirpath/N1/#type-safety-and-strict-evaluation
"""
from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from ..definitions.structures import RESOURCE_TYPES, properties
from .places import ABSTRACT, PRIMITIVES, elements_of, is_type, places
from .tokens import wrong
from .tree import Binary, Call, Item, Literal, Member, Sign, Special, TypeTest, Variable, type_name
from .vetting import ON_EACH, VERSIONS

# The types that a node may have; None: any.
Types = frozenset | None
_KEEP = frozenset("where first last tail skip take single distinct intersect exclude".split())


def check(node: Any, types: Types, this: Types) -> Types:
    """The types that a node may have.

    :param types: those of the resource
    :param this: those of ``$this``
    :raises ValueError: an element or type that does not exist; tells the position and what comes near
    """
    if isinstance(node, Special):
        return this if node.name == "this" else None
    if isinstance(node, Variable):
        return types if node.name in VERSIONS else None
    if isinstance(node, Member):
        return _member(node, types, this)
    if isinstance(node, Call):
        return _call(node, types, this)
    if isinstance(node, TypeTest):
        check(node.of, types, this)
        _known_type(node.at, node.type)
        return frozenset((_bare(node.type),)) if node.operator == "as" else frozenset(("boolean",))
    if isinstance(node, Binary):
        left, right = check(node.left, types, this), check(node.right, types, this)
        return left | right if node.operator == "|" and left is not None and right is not None else None
    if isinstance(node, Item):
        check(node.index, types, this)
        return check(node.of, types, this)
    if isinstance(node, Sign):
        check(node.of, types, this)
    return None


def _member(node: Member, types: Types, this: Types) -> Types:
    if node.of is None and (node.name in RESOURCE_TYPES or node.name in ABSTRACT):
        if this is not None and node.name not in this and node.name not in ABSTRACT:
            raise wrong(node.at, f"{node.name} is never seen here; expected {' or '.join(sorted(this))}")
        return this if node.name in ABSTRACT else frozenset((node.name,))
    of = this if node.of is None else check(node.of, types, this)
    if of is None or "Resource" in of:
        return None
    found = frozenset(kind for one in of for _, kind in places(one, node.name))
    # An extension may stand beside any primitive.
    if not found and not (of & PRIMITIVES.keys() and node.name in ("id", "extension")):
        raise _no_element(node, of)
    if found & set(ABSTRACT):
        return None
    return found or frozenset(("Extension" if node.name == "extension" else "string",))


def _no_element(node: Member, of: frozenset[str]) -> ValueError:
    kinds = " or ".join(sorted(of))
    for one in sorted(of):
        written = properties(one).get(node.name) if elements_of(one) else None
        if written:
            return wrong(node.at, f"FHIRPath says {written.element.name}.ofType({written.type}), not {node.name}")
    near = get_close_matches(node.name, {element.name for one in of for element in elements_of(one)}, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    if node.of is None and node.name in VERSIONS:
        hint = f"; did you mean %{node.name}?"
    elif node.of is None and not near:
        hint = "; strings stand between single quotes"
    return wrong(node.at, f"{kinds} has no element {node.name}{hint}")


def _call(node: Call, types: Types, this: Types) -> Types:
    of = this if node.of is None else check(node.of, types, this)
    if node.name in ("ofType", "as", "is"):
        named = type_name(node.arguments[0]) or ""
        _known_type(node.at, named)
        return frozenset(("boolean",)) if node.name == "is" else frozenset((named,))
    # repeat() applies its argument to what it has found, which may be of other types.
    inner = None if node.name == "repeat" else of if node.name in ON_EACH else this
    found = [check(argument, types, inner) for argument in node.arguments]
    if node.name in _KEEP:
        return of
    if node.name == "select":
        return found[0]
    return frozenset(("Extension",)) if node.name == "extension" else None


def _known_type(at: int, name: str) -> None:
    if not name.startswith("System.") and not is_type(_bare(name)):
        raise wrong(at, f"{name or 'this'} is no type of R4; expected one like Quantity, dateTime or Patient")


def _bare(name: str) -> str:
    return name.removeprefix("FHIR.")
