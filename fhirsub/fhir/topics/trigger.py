"""A trigger: what fires an event.

Spec: https://hl7.org/fhir/R4/metadatatypes.html#TriggerDefinition
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import FHIRSubError, Issue, Unprocessable
from ..fhirpath import expression
from ..fhirpath.expression import Expression, Scope
from ..search_values import SearchValues
from . import data_requirement, timing
from .data_requirement import DataRequirement

FHIRPATH = "text/fhirpath"

# Which changes a trigger is tried on. A named event has no word for deletes: data-removed and data-changed have.
INTERACTIONS = {"named-event": ("create", "update"), "data-changed": ("create", "update", "delete"),
                "data-added": ("create",), "data-modified": ("update",), "data-removed": ("delete",),
                "data-accessed": ("read",), "periodic": ("periodic",)}
_TIMINGS = ("timingTiming", "timingReference", "timingDate", "timingDateTime")


@dataclass(frozen=True)
class Trigger:
    """One of the ways in which a topic fires.

    :param data: any of these, if there are any, must let the resource through
    :param timing: of a periodic one, as :func:`.timing.next_due` takes it
    """

    type: str
    data: tuple[DataRequirement, ...] = ()
    condition: Expression | None = None
    timing: Any = None

    @property
    def raised(self) -> bool:
        """Whether it is a named event without a condition: the application says when it happens."""
        return self.type == "named-event" and self.condition is None

    @property
    def interactions(self) -> tuple[str, ...]:
        return ("raise",) if self.raised else INTERACTIONS[self.type]

    @property
    def looks_back(self) -> bool:
        """Whether the condition asks for the version before."""
        return self.condition is not None and self.condition.looks_back

    def selects(self, values: SearchValues, scope: Scope) -> bool:
        """Whether data and condition hold.

        :param values: of the version that ``data`` is about
        :raises ExpressionFailed: the condition could not be evaluated
        """
        if self.data and not any(one.test(values) for one in self.data):
            return False
        return self.condition is None or self.condition.holds(scope)


def read(given: dict, where: str, *, parameters: bool = False) -> Trigger:
    """One ``EventDefinition.trigger``.

    :param where: ``EventDefinition.trigger[0]``
    :param parameters: the condition may have named parameters
    :raises Unprocessable: an issue for each element that is wrong
    """
    issues: list[Issue] = []

    def part(look, *at):
        try:
            return look(*at)
        except FHIRSubError as error:
            issues.extend(error.issues)

    part(_invariants, given, where)
    data = [part(data_requirement.read, one, f"{where}.data[{index}]")
            for index, one in enumerate(given.get("data", ()))]
    times = [name for name in _TIMINGS if name in given]
    for name in times:
        part(timing.check, given[name], f"{where}.{name}")
    condition = None
    if "condition" in given and None not in data:
        condition = part(_condition, given["condition"], [one.type for one in data], f"{where}.condition", parameters)
    if issues:
        raise Unprocessable(issues=issues)
    return Trigger(given["type"], tuple(data), condition, given[times[0]] if times else None)


def _invariants(given: dict, where: str) -> None:
    """trd-1 to trd-3, and what R4 has that this server does not."""
    kind = given["type"]
    if kind not in INTERACTIONS:
        raise Unprocessable(f"{where}.type: {kind} is not supported; this server knows {', '.join(INTERACTIONS)}",
                            expression=f"{where}.type", code="not-supported")
    has_data, timed = "data" in given, any(name in given for name in _TIMINGS)
    for broken, told in (
            (has_data and timed, "expected either timing or data, and not both (trd-1)"),
            ("condition" in given and not has_data, "a condition needs data, which says what it is about (trd-2)"),
            (kind == "named-event" and "name" not in given, "a named-event needs a name (trd-3)"),
            (kind == "periodic" and not timed, "a periodic trigger needs a timing (trd-3)"),
            (kind.startswith("data-") and not has_data, f"a {kind} trigger needs data, which says what about (trd-3)"),
            (kind != "periodic" and timed, f"only a periodic trigger has a timing; this is a {kind} trigger")):
        if broken:
            raise Unprocessable(f"{where}: {told}", expression=where, code="invariant")


def _condition(given: dict, types: list[str | None], where: str, parameters: bool) -> Expression:
    language, text = given.get("language"), given.get("expression")
    if language != FHIRPATH:
        raise Unprocessable(f"{where}.language: this server evaluates {FHIRPATH}; got {language!r}",
                            expression=f"{where}.language", code="not-supported")
    if not text:
        raise Unprocessable(f"{where}.expression: expected the FHIRPath itself, for no reference to it is followed",
                            expression=f"{where}.expression", code="required")
    at = f"{where}.expression"
    try:
        return expression.read(text, () if None in types else types, parameters=None if parameters else ())
    except ValueError as error:
        raise Unprocessable(f"{at}: {error}", expression=at) from None
