"""Which modifiers a parameter can be asked with; every other one is refused by name, as R4 wants.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""
from __future__ import annotations

from ...errors import UnsupportedCriteria
from ..definitions.structures import RESOURCE_TYPES
from .clause import Clause

# ``missing`` is for all but composites and stands apart.
_DECIDED = {"token": ("not", "text", "of-type", "in", "not-in", "below", "above"), "string": ("exact", "contains"),
            "uri": ("above", "below"), "reference": ("identifier",)}

_HIERARCHY = "needs other resources than the one written; list the references instead: {code}=a,b"
_TEXT_SEARCH = "needs a text search engine; use {code}=start or {code}:contains=part"
_UNDECIDED = {
    ("reference", "above"): _HIERARCHY, ("reference", "below"): _HIERARCHY,
    ("string", "text"): _TEXT_SEARCH}


def check(clause: Clause) -> None:
    """Let pass what one resource can decide.

    :raises UnsupportedCriteria: the modifier is not defined for the type, or needs more than the one resource
    """
    modifier, kind, code = clause.modifier, clause.parameter.type, clause.parameter.code
    if modifier is None or modifier == "missing" and kind != "composite" or modifier in _DECIDED.get(kind, ()):
        return
    if kind == "reference" and _names_type(clause) or modifier == "below" and "canonical" in clause.element_types():
        return
    reason = _UNDECIDED.get((kind, modifier))
    raise UnsupportedCriteria(f"{clause.resource_type}?{code}:{modifier}: "
                              + (reason.format(code=code) if reason else _not_defined(clause)))


def _names_type(clause: Clause) -> bool:
    return clause.modifier in (clause.parameter.targets or RESOURCE_TYPES)


def _not_defined(clause: Clause) -> str:
    kind = clause.parameter.type
    if kind == "composite":
        return "modifiers are not used on composite parameters; leave it out"
    defined = [*_DECIDED.get(kind, ()), "missing"]
    if kind == "reference":
        defined += clause.parameter.targets if len(clause.parameter.targets) < 10 else ["a resource type"]
    return f"no such modifier for a {kind} parameter; use one of {', '.join(defined)} or none"
