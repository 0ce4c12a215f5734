"""A predicate: one parameter, its modifier, and the values any of which will do.

Spec: https://hl7.org/fhir/R4/search.html#combining, https://hl7.org/fhir/R4/search.html#modifiers
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple
from urllib.parse import quote

from ...errors import UnsupportedCriteria
from ..definitions.parameters import SearchParameter
from ..definitions.structures import RESOURCE_TYPES
from ..search_values import SearchValues
from ..terminology import Codes
from . import composites, dates, modifiers, numbers, references, strings, tokens, uris, words
from .clause import Clause
from .code_sets import CodeSet
from .escapes import split

# Everything that is neither a separator of the query nor changed by decoding it.
_PLAIN = ":/|,$\\*!()@;"

_READ = {"token": tokens.parse, "string": strings.parse, "date": dates.parse, "number": numbers.parse_number,
         "quantity": numbers.parse_quantity, "reference": references.parse, "uri": uris.parse,
         "fulltext": words.parse}


class Missing(NamedTuple):
    """``:missing=true`` or ``false``; answered by :class:`Predicate`, for there is no value to compare with."""

    missing: bool

    def text(self) -> str:
        return "true" if self.missing else "false"

    def key(self) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Predicate:
    """``code=a,b``: at least one value of the resource matches at least one of ``values``.

    :param modifier: ``not`` and ``not-in`` (no value matches any), ``missing``, or one that is already part of the
        operands
    :param values: operands, e.g. :class:`.tokens.Coded`, without duplicates, in canonical order
    """

    parameter: SearchParameter
    modifier: str | None
    values: tuple[Any, ...]

    @property
    def negated(self) -> bool:
        """Whether a resource matches if none of its values does, so also if it has none."""
        return self.modifier in ("not", "not-in")

    @property
    def bound(self) -> bool:
        """Whether all codes that are asked for are known."""
        return not any(type(operand) is CodeSet and operand.codes is None for operand in self.values)

    def bind(self, expand: Callable[[CodeSet], Codes]) -> Predicate:
        """The predicate with the codes of its value sets.

        :raises UnsupportedCriteria: ``expand`` does, for one of them
        """
        if self.bound:
            return self
        try:
            return replace(self, values=tuple(one._replace(codes=expand(one)) for one in self.values))
        except UnsupportedCriteria as error:
            raise UnsupportedCriteria(f"{self.parameter.code}:{self.modifier}={','.join(self.asked())}: {error}",
                                      code=error.issues[0].code) from None

    def test(self, values: SearchValues) -> bool:
        if self.modifier and not self.bound:
            return self.bind(values.expand).test(values)
        found = values[self.parameter.code]
        if self.modifier == "missing":
            return any(operand.missing != bool(found) for operand in self.values)
        matched = any(operand.matches(value) for operand in self.values for value in found)
        return matched != self.negated

    def asked(self) -> tuple[str, ...]:
        """The values asked for, as a search writes them."""
        return tuple(operand.text() for operand in self.values)

    def found(self, values: SearchValues) -> tuple[Any, ...]:
        """The values of the resource that they are compared with."""
        return values[self.parameter.code]

    def canonical(self) -> str:
        """The predicate as it stands in a query, percent-encoded; the same text for the same question."""
        name = f"{self.parameter.code}:{self.modifier}" if self.modifier else self.parameter.code
        return f"{name}={quote(','.join(operand.text() for operand in self.values), safe=_PLAIN)}"


def read(text: str, clause: Clause) -> Predicate:
    """The predicate that ``clause`` asks with the (percent-decoded) value ``text``.

    :raises UnsupportedCriteria: an undecidable modifier, or a value that is not of the parameter's type
    """
    modifiers.check(clause)
    pieces = split(text, ",")
    try:
        if not all(pieces):
            raise ValueError("a value is empty; to ask whether there is one, use :missing=true or :missing=false")
        operands = {operand.text(): operand for operand in (_operand(piece, clause) for piece in pieces)}
    except ValueError as error:
        name = clause.parameter.code + (f":{clause.modifier}" if clause.modifier else "")
        raise UnsupportedCriteria(f"{clause.resource_type}?{name}={text}: {error}", code="value") from None
    kept = None if clause.modifier in RESOURCE_TYPES else clause.modifier  # the operands say the type
    return Predicate(clause.parameter, kept, tuple(operands[key] for key in sorted(operands)))


def _operand(text, clause):
    if clause.modifier == "missing":
        if text not in ("true", "false"):
            raise ValueError(":missing is either true or false")
        return Missing(text == "true")
    if clause.parameter.type == "composite":
        return composites.parse(text, clause, _operand)
    return _READ[clause.parameter.type](text, clause)
