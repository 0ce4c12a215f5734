"""The sentences about a wrong element: what was found, and the nearest that would do.

Spec: https://hl7.org/fhir/R4/valueset-issue-type.html
"""
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Any

from ...errors import Issue
from ..definitions.structures import codes, elements, properties

# Longer ones would bury the sentence; resource types alone are 148.
_LISTED = 20
_SHOWN = 60


def found(value: Any) -> str:
    """Say what a JSON value is, shortened: ``'bogus'``, ``5``, ``an array of 2``, ``an object``."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def near(names: Sequence[str], wrong: Any = None) -> str:
    """List what would do: all of a short list, of a long one those like ``wrong``, or the first few."""
    if len(names) <= _LISTED:
        return " | ".join(names)
    close = _close(wrong, names) or names[:_LISTED // 2]
    return f"{' | '.join(close)} | … ({len(names)} in all)"


def expected_code(value_set: str, value: Any, path: str) -> Issue:
    """The issue of a code outside its required value set."""
    allowed = near(codes(value_set), value)
    return Issue(f"{path}: expected one of {allowed}; got {found(value)}", "code-invalid", path)


def unknown(type_name: str, name: str, path: str) -> Issue:
    """The issue of a property that the type does not have, with the name that was probably meant."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    plain = shown.isascii() and shown.replace("_", "a").isalnum()
    place = f"{path}.{shown}" if plain else path
    text = f"{place}: R4 has no element {shown!r} in {type_name}"
    if hint := _hint(type_name, name):
        text += f"; {hint}"
    return Issue(text, "structure", place)


def _hint(type_name: str, name: str) -> str:
    if name == "fhir_comments":
        return "comments left JSON with DSTU2"
    choice = next((one for one in elements(type_name) if one.choice and one.name == name), None)
    if choice:
        names = [given for given, (owner, _) in properties(type_name).items() if owner is choice]
        return f"its name says the type: {near(names)}"
    close = _close(name, list(properties(type_name)))
    return f"did you mean {close[0]!r}?" if close else ""


def _close(wrong: Any, names: Sequence[str]) -> list[str]:
    """The names most like a wrong one, whatever its case."""
    if not isinstance(wrong, str) or len(wrong) > _SHOWN:
        return []
    by_lower = {name.lower(): name for name in names}
    return [by_lower[lower] for lower in get_close_matches(wrong.lower(), by_lower, n=3, cutoff=0.7)]
