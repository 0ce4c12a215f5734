"""Filters of a value set: which concepts of a CodeSystem they leave.

Spec: https://hl7.org/fhir/R4/valueset.html#compositions, https://hl7.org/fhir/R4/valueset-filter-operator.html
"""
from __future__ import annotations

import re
from collections.abc import Callable

from ...errors import UnsupportedCriteria
from .concepts import Concepts

# The expression comes from a client and is tried on every concept: what could take longer than a few steps for each
# character (a repeated group, many repetitions, a back reference) is refused.
_PLAIN = re.compile(r"(?:[^\\()\[\]]|\\[dDwWsS.\\\-+*?|(){}\[\]/^$]|\[[^\[\]\\]+\]|\(\?:|\((?!\?)|\)(?![*+?{]))*")
_REPEATED = re.compile(r"(?<!\\)[*+{]")
_OPTIONAL = re.compile(r"(?<!\\)\?")
MAX_PATTERN, MAX_REPEATED, MAX_OPTIONAL, MAX_TEXT = 200, 2, 8, 250


def matching(filter: dict, concepts: Concepts) -> set[str]:
    """The codes that one filter leaves.

    :param filter: ``{"property": "concept", "op": "is-a", "value": "…"}``
    :raises UnsupportedCriteria: the operator cannot be evaluated on this property or value
    """
    op, property, value = filter.get("op"), filter.get("property", ""), filter.get("value", "")
    if "modifierExtension" in filter or op not in _OPERATORS:
        raise UnsupportedCriteria(f"{concepts.name}: a filter with {op!r} cannot be evaluated here; the operators are "
                                  + ", ".join(_OPERATORS))
    return _OPERATORS[op](concepts, property, value)


def _hierarchy(select: Callable[[Concepts, str], set[str]]) -> Callable[[Concepts, str, str], set[str]]:
    def evaluate(concepts: Concepts, property: str, value: str) -> set[str]:
        if property not in ("concept", "code"):
            raise UnsupportedCriteria(f"{concepts.name}: a filter on the hierarchy is about the property 'concept'; "
                                      f"got {property!r}")
        return select(concepts, value)
    return evaluate


def _values(test: Callable[[set[str], str], bool]) -> Callable[[Concepts, str, str], set[str]]:
    def evaluate(concepts: Concepts, property: str, value: str) -> set[str]:
        return {code for code in concepts.codes if test(concepts.values(code, property), value)}
    return evaluate


def _listed(value: str) -> set[str]:
    return {one.strip() for one in value.split(",")}


def _regex(concepts: Concepts, property: str, value: str) -> set[str]:
    costly = len(_REPEATED.findall(value)) > MAX_REPEATED or len(_OPTIONAL.findall(value)) > MAX_OPTIONAL
    if len(value) > MAX_PATTERN or costly or not _PLAIN.fullmatch(value):
        raise UnsupportedCriteria(f"{concepts.name}: the regex {value[:80]!r} could take too long; at most "
                                  f"{MAX_REPEATED} repetitions, none of a group", code="too-costly")
    try:
        pattern = re.compile(value)
    except re.error as error:
        raise UnsupportedCriteria(f"{concepts.name}: {value!r} is no regex: {error}", code="value") from None
    return {code for code in concepts.codes
            if any(_matched(pattern, text, concepts) for text in concepts.values(code, property))}


def _matched(pattern: re.Pattern, text: str, concepts: Concepts) -> bool:
    if len(text) > MAX_TEXT:
        raise UnsupportedCriteria(f"{concepts.name}: a regex on texts of more than {MAX_TEXT} characters could take "
                                  "too long", code="too-costly")
    return bool(pattern.fullmatch(text))


_OPERATORS: dict[str, Callable[[Concepts, str, str], set[str]]] = {
    "is-a": _hierarchy(Concepts.below),
    "descendent-of": _hierarchy(lambda concepts, code: concepts.below(code) - {code}),
    "is-not-a": _hierarchy(lambda concepts, code: concepts.codes.keys() - concepts.below(code)),
    "generalizes": _hierarchy(Concepts.above),
    "=": _values(lambda found, value: value in found),
    "in": _values(lambda found, value: bool(found & _listed(value))),
    "not-in": _values(lambda found, value: not found & _listed(value)),
    "exists": _values(lambda found, value: bool(found) == (value == "true")),
    "regex": _regex}
