"""What a trigger is about: resources of a type, with the codes and dates that its filters ask for.

Spec: https://hl7.org/fhir/R4/metadatatypes.html#DataRequirement
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import Unprocessable
from ..criteria.tokens import Coded
from ..definitions.parameters import search_parameters
from ..definitions.structures import RESOURCE_TYPES
from ..fhirpath import plain
from ..fhirpath.syntax import NotPlain
from ..instants import span
from ..search_values import SearchValues, dates, tokens
from ..values import MAX, MIN, Date

ANY_TYPE = ("Resource", "DomainResource")
_KNOWN = {"id", "extension", "type", "mustSupport", "codeFilter", "dateFilter"}

# extract(values) -> what one filter compares
Extract = Callable[[SearchValues], "list | tuple"]


class Filter(NamedTuple):
    """One codeFilter or dateFilter: a value that ``extract`` finds is one of those ``asked`` for."""

    extract: Extract
    asked: tuple[Any, ...]

    def test(self, values: SearchValues) -> bool:
        return any(one.matches(found) for found in self.extract(values) for one in self.asked)


class Within(NamedTuple):
    """The dates from ``low`` to before ``high``; what reaches beyond is not within."""

    low: int
    high: int

    def matches(self, found: Date) -> bool:
        return self.low <= found.low and found.high <= self.high


class DataRequirement(NamedTuple):
    """Resources of ``type`` (None: of any) that all ``filters`` let through."""

    type: str | None
    filters: tuple[Filter, ...] = ()

    def test(self, values: SearchValues) -> bool:
        return self.type in (None, values.type) and all(one.test(values) for one in self.filters)


def read(data: dict, where: str) -> DataRequirement:
    """One ``TriggerDefinition.data``.

    :param where: ``EventDefinition.trigger[0].data[0]``
    :raises Unprocessable: names the element that is wrong, or that this server does not evaluate
    """
    for name in data.keys() - _KNOWN:
        raise Unprocessable(f"{where}.{name}: this server does not evaluate it; say it in codeFilter, dateFilter or "
                            "the condition", expression=f"{where}.{name}", code="not-supported")
    kind = data["type"]
    if kind not in RESOURCE_TYPES and kind not in ANY_TYPE:
        raise Unprocessable(f"{where}.type: expected a resource type, or Resource for any; got {kind!r}",
                            expression=f"{where}.type")
    filters = [_read_filter(one, kind, f"{where}.{name}[{index}]", *_KINDS[name])
               for name in _KINDS for index, one in enumerate(data.get(name, ()))]
    return DataRequirement(None if kind in ANY_TYPE else kind, tuple(filters))


def _read_filter(given: dict, resource_type: str, where: str, search_type: str, asked: Callable) -> Filter:
    if resource_type in ANY_TYPE:
        raise Unprocessable(f"{where}: only data of a named resource type can be filtered; got type {resource_type!r}",
                            expression=where)
    if ("path" in given) == ("searchParam" in given):
        raise Unprocessable(f"{where}: expected either a path or a searchParam, and not both (drq-1, drq-2)",
                            expression=where, code="invariant")
    operands = asked(given, where)
    if "path" in given:
        return Filter(_by_path(given["path"], resource_type, search_type, f"{where}.path"), operands)
    return Filter(_by_parameter(given["searchParam"], resource_type, search_type, f"{where}.searchParam"), operands)


def _by_path(path: str, resource_type: str, search_type: str, where: str) -> Extract:
    kinds = {"token": tokens.TYPES, "date": dates.TYPES}[search_type]
    try:
        if kinds.isdisjoint(kind.partition(":")[0] for kind in plain.types(path, resource_type)):
            raise ValueError(f"it gives none of {', '.join(sorted(kinds))}")
        select = plain.compile(path, resource_type)
    except (NotPlain, ValueError) as error:
        raise Unprocessable(f"{where}: expected a simple path of {resource_type} such as type or period.start; got "
                            f"{path[:80]!r}: {error}", expression=where) from None
    convert = {"token": tokens.convert, "date": dates.convert}[search_type]

    def extract(values):
        return [one for value, kind in select(values.resource) for one in convert(value, kind, values.base_url)]
    return extract


def _by_parameter(code: str, resource_type: str, search_type: str, where: str) -> Extract:
    parameter = search_parameters(resource_type).get(code)
    if parameter is None or parameter.type != search_type:
        known = [one.code for one in search_parameters(resource_type).values() if one.type == search_type]
        raise Unprocessable(f"{where}: expected a {search_type} parameter of {resource_type}: "
                            f"{', '.join(sorted(known))}; got {code!r}", expression=where)
    return lambda values: values[code]


def _codes(given: dict, where: str) -> tuple[Coded, ...]:
    if "valueSet" in given:
        raise Unprocessable(f"{where}.valueSet: this server does not expand it here; list the codes in {where}.code",
                            expression=f"{where}.valueSet", code="not-supported")
    codes = [coding for coding in given.get("code", ()) if "code" in coding]
    if not codes or len(codes) < len(given["code"]):
        raise Unprocessable(f"{where}.code: expected at least one Coding, each with a code", expression=f"{where}.code",
                            code="required")
    return tuple(Coded(coding.get("system"), coding["code"]) for coding in codes)


def _period(given: dict, where: str) -> tuple[Within]:
    if "valueDateTime" in given:
        return (Within(*span(given["valueDateTime"])),)
    period = given.get("valuePeriod")
    if not period or not period.keys() & {"start", "end"}:
        raise Unprocessable(f"{where}: expected a valueDateTime or a valuePeriod with start or end; a valueDuration "
                            "would change its meaning with the clock", expression=where, code="not-supported")
    low = span(period["start"])[0] if "start" in period else MIN
    return (Within(low, span(period["end"])[1] if "end" in period else MAX),)


_KINDS = {"codeFilter": ("token", _codes), "dateFilter": ("date", _period)}
