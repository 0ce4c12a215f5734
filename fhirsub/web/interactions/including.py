"""``_include`` and ``_revinclude``: the resources that come along with those that match.

Spec: https://hl7.org/fhir/R4/search.html#include
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ...errors import BadRequest, UnsupportedCriteria
from ...fhir.including import Rule, parse
from ...store import including as store
from ...store.versions import Version
from ..bundles import entry
from ..outcomes import information
from ..request import Request

NAMES = ("_include", "_revinclude")
MAX_RULES = 50  # each is a condition of the statements that look for more
# On one page, beside the matches: one patient may be referred to by a million observations.
MAX_INCLUDED = 1_000


def rules(request: Request, types: Sequence[str]) -> list[Rule]:
    """What is to be included.

    :param types: those that are searched
    :raises BadRequest: a parameter cannot be read, or could never include anything; says what would do
    """
    asked = [(name, value) for name, value in request.query if name.partition(":")[0] in NAMES]
    if len(asked) > MAX_RULES:
        raise BadRequest(f"this server takes up to {MAX_RULES} _include and _revinclude", code="too-costly")
    if asked and request.parameter("_summary") == "text":
        raise BadRequest(f"{asked[0][0]} cannot be mixed with _summary=text", code="not-supported")
    try:
        return list(dict.fromkeys(parse(name, value, types) for name, value in asked))
    except UnsupportedCriteria as error:
        raise BadRequest(issues=error.issues) from None


def included(tx: Any, request: Request, matches: Sequence[Version], rules: Sequence[Rule],
             send: Callable[[Version], bytes]) -> list[bytes]:
    """The entries that ``rules`` add to a page, with a warning as the last one if they are not all.

    :param send: turns a version into the JSON text that the client wants
    """
    found = store.include(tx, matches, rules, MAX_INCLUDED)
    entries = [entry(f"{request.base_url}/{version.type}/{version.id}", send(version), search={"mode": "include"})
               for version in found.versions]
    if not found.complete:
        text = (f"more is to be included: a page includes up to {MAX_INCLUDED} resources, over up to {store.MAX_DEPTH} "
                "levels of :iterate; ask for smaller pages, or search for the others themselves")
        entries.append(entry(resource=information(text, "warning", "too-costly"), search={"mode": "outcome"}))
    return entries
