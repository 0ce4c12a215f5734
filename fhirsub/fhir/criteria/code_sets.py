"""What a token parameter may ask by terminology: ``:in`` a value set, ``:below`` or ``:above`` a code.

Which codes those are is not in the resource: they are bound to the operand before it is tested or made SQL.

Spec: https://hl7.org/fhir/R4/search.html#modifiers, https://hl7.org/fhir/R4/search.html#token
"""
from __future__ import annotations

from typing import NamedTuple

from ..terminology import Codes
from ..values import Token
from .clause import Clause
from .escapes import escape

MODIFIERS = frozenset({"in", "not-in", "below", "above"})

_CODED = {"CodeableConcept", "Coding", "code"}


class CodeSet(NamedTuple):
    """The codes of a value set, or those below or above one code.

    :ivar relation: ``in`` | ``below`` | ``above``
    :ivar url: of the value set (or ``ValueSet/id``), else the system
    :ivar detail: the version of the value set or "", else the code
    :ivar codes: None until they are bound
    """

    relation: str
    url: str
    detail: str
    codes: Codes | None = None

    def matches(self, value: Token) -> bool:
        return (value.system, value.code) in self.codes

    def text(self) -> str:
        return "|".join(escape(part) for part in (self.url, self.detail) if part)

    def key(self) -> None:
        return None


def parse(parts: list[str], clause: Clause) -> CodeSet:
    """``[url]`` or ``[url, version]`` of a value set, or ``[system, code]``.

    :raises ValueError: neither, or the parameter does not look at codes
    """
    kinds = clause.element_types()
    if clause.parameter.code == "_id" or kinds and not kinds & _CODED:
        raise ValueError(f"values here are no codes of a code system: there is nothing :{clause.modifier} could mean")
    if clause.modifier in ("below", "above"):
        if len(parts) != 2 or not all(parts):
            raise ValueError("expected system|code, both present")
        return CodeSet(clause.modifier, *parts)
    url, version = (parts + [""])[:2]
    url = url.removeprefix(clause.base_url + "/") if clause.base_url else url
    if len(parts) > 2 or not (":" in url or url.startswith("ValueSet/")) or version and ":" not in url:
        raise ValueError("expected the URL of a value set, with |version or without, or ValueSet/id")
    return CodeSet("in", url, version)
