"""What clients may say in FHIRPath: limits, functions and variables.

Spec: https://hl7.org/fhirpath/N1/#functions, https://hl7.org/fhir/R4/fhirpath.html#variables
"""
from __future__ import annotations

import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from .grammar import parse
from .tokens import wrong
from .tree import Call, Literal, Special, Variable, below, height, walk

# The longest search parameter of R4 has 900 characters, the longest trigger in circulation 200.
MAX_LENGTH = 2048
MAX_NODES = 500
# A chain of operators or steps is as high as it is long, and whoever walks a tree recurses.
MAX_HEIGHT = 120
MAX_PATTERN = 256

# How many arguments each function takes: least, most.
FUNCTIONS = {name: counts for counts, names in {
    (0, 0): "abs allFalse allTrue anyFalse anyTrue avg ceiling children convertsToBoolean convertsToDate "
            "convertsToDateTime convertsToDecimal convertsToInteger convertsToQuantity convertsToString convertsToTime "
            "count descendants distinct empty exp first floor isDistinct last length ln lower max min not now resolve "
            "single sqrt sum tail timeOfDay toBoolean toChars toDate toDateTime toDecimal toInteger toString toTime "
            "today trim truncate upper",
    (0, 1): "exists join toQuantity",
    (1, 1): "all as combine contains endsWith exclude extension indexOf intersect is log matches ofType power repeat "
            "round select skip split startsWith subsetOf supersetOf take union where",
    (1, 2): "aggregate substring",
    (2, 2): "replace replaceMatches",
    (2, 3): "iif",
}.items() for name in names.split()}
# What the standards have and this server refuses, with the way out.
_REFUSED = {
    "trace": "leave it out: there is no log that the author of an expression could read",
    "memberOf": "compare with the codes: code.coding.where(system = '…' and code = '…').exists()",
    "subsumes": "compare with the codes", "subsumedBy": "compare with the codes",
    "conformsTo": "test the elements that the profile is about",
    "hasValue": "use exists()", "getValue": "the value is there without it",
}
CONSTANTS = {"sct": "http://snomed.info/sct", "loinc": "http://loinc.org", "ucum": "http://unitsofmeasure.org"}
VERSIONS = frozenset(("current", "previous", "resource", "rootResource", "context"))
BUILT_IN = VERSIONS | CONSTANTS.keys()
# The functions whose argument is evaluated on each item, as $this.
ON_EACH = frozenset(("where", "select", "repeat", "all", "exists", "aggregate", "iif"))


def vet(text: str, parameters: Collection[str] | None) -> tuple[Any, frozenset[str]]:
    """The tree of an expression that may be evaluated here, and the names of the parameters in it.

    :param parameters: the parameters it may use; None: any
    :raises ValueError: not FHIRPath, over a limit, or a function or variable that is not known here; tells the position
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"the expression has {len(text)} characters; expected at most {MAX_LENGTH}")
    tree = parse(text)
    nodes = list(walk(tree))
    if len(nodes) > MAX_NODES:
        raise ValueError(f"the expression has {len(nodes)} parts; expected at most {MAX_NODES}")
    if height(tree) > MAX_HEIGHT:
        raise ValueError(f"the expression has more than {MAX_HEIGHT} steps or operators in a row; try in")
    for node in nodes:
        if isinstance(node, Call):
            _vet_call(node)
    _vet_specials(tree, frozenset(("this",)))
    used = [node for node in nodes if isinstance(node, Variable) and node.name not in BUILT_IN]
    unknown = min((node for node in used if parameters is not None and node.name not in parameters), default=None)
    if unknown:
        known = ", ".join(f"%{one}" for one in sorted(BUILT_IN.union(parameters)))
        raise wrong(unknown.at, f"%{unknown.name} is not known; expected one of {known}")
    return tree, frozenset(node.name for node in used)


def _vet_call(node: Call) -> None:
    name, given = node.name, len(node.arguments)
    if name in _REFUSED:
        raise wrong(node.at, f"this server does not evaluate {name}(); {_REFUSED[name]}")
    if name not in FUNCTIONS:
        near = get_close_matches(name, FUNCTIONS, 1)
        raise wrong(node.at, f"there is no function {name}()" + (f"; did you mean {near[0]}()?" if near else ""))
    least, most = FUNCTIONS[name]
    if not least <= given <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise wrong(node.at, f"{name}() has {given} arguments; expected {wanted}")
    if name in ("matches", "replaceMatches"):
        _vet_pattern(name, node.arguments[0])


def _vet_pattern(name: str, pattern: Any) -> None:
    if not (isinstance(pattern, Literal) and pattern.kind == "string"):
        raise wrong(pattern.at, f"the pattern of {name}() must be a string between quotes")
    if len(pattern.value) > MAX_PATTERN:
        raise wrong(pattern.at, f"the pattern has {len(pattern.value)} characters; expected at most {MAX_PATTERN}")
    try:
        re.compile(pattern.value)
    except (re.error, OverflowError, RecursionError) as error:
        raise wrong(pattern.at, f"not a regular expression: {error}") from None


def _vet_specials(node: Any, known: frozenset[str]) -> None:
    """``$index`` and ``$total`` have a value only inside of what sets them."""
    if isinstance(node, Special) and node.name not in known:
        where = "aggregate()" if node.name == "total" else "where(), select() and the like"
        raise wrong(node.at, f"${node.name} has a value only inside of {where}")
    inside = known
    if isinstance(node, Call) and node.name in ON_EACH:
        inside = known | ({"index", "total"} if node.name == "aggregate" else {"index"})
    for one in below(node):
        _vet_specials(one, known if isinstance(node, Call) and one is node.of else inside)
