"""From the name of a search parameter that goes through references to a :class:`.Link`.

What stands behind the last link is read as the parameter of that type which it is.

Spec: https://hl7.org/fhir/R4/search.html#chaining, https://hl7.org/fhir/R4/search.html#has
"""
from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from ...errors import UnsupportedCriteria
from ..definitions.parameters import SearchParameter, search_parameters
from ..definitions.structures import RESOURCE_TYPES
from .chains import MEMBERS, Chain, Link, Reverse
from .clause import Clause
from .criteria import Criteria

# Each link is a subquery. No chain of R4 resources that means something is this long.
MAX_LINKS = 10
MAX_ALL_LINKS = 50  # of one search; each is a subquery, and building ten takes tens of ms

_CHAIN = re.compile(r"([^.:]+)(?::([^.:]*))?\.(.*)", re.DOTALL)     # subject:Patient.name:contains
_REVERSE = re.compile(r"_has:([^:]*):([^:]*):(.+)", re.DOTALL)      # _has:Observation:patient:code:not

# read(resource_type, name) -> the predicates of what is asked at the other end of a link
Read = Callable[[str, str], Iterable[Any]]


def linked(name: str) -> bool:
    """Whether a parameter of this name is about other resources than the one that is found."""
    return "." in name or name.partition(":")[0] in ("_has", "_list")


def read(resource_type: str, name: str, value: str, beyond: Read) -> Link:
    """The predicate that a :func:`linked` name begins.

    :param value: what is asked for at the far end
    :param beyond: reads the rest of the name with that value; the rest may be linked again
    :raises UnsupportedCriteria: the name does not lead from one resource to others; says what would
    """
    if name.count(".") + name.count("_has:") > MAX_LINKS:
        raise UnsupportedCriteria(f"{resource_type}?{name[:80]}…: more than {MAX_LINKS} links", code="too-costly")
    if name.startswith("_has"):
        return _reverse(resource_type, name, beyond)
    if name.startswith("_list"):
        return _members(resource_type, name, value, beyond)
    return _chain(resource_type, name, beyond)


def _chain(resource_type: str, name: str, beyond: Read) -> Chain:
    found = _CHAIN.fullmatch(name)
    if not found or not found[3]:
        raise UnsupportedCriteria(f"{resource_type}?{name}: expected a chain such as subject:Patient.name")
    code, kind, rest = found.groups()
    parameter = _reference(resource_type, name, code)
    kinds = _targets(resource_type, name, parameter, rest) if kind is None else (kind,)
    if kind is not None and kind not in parameter.targets:
        raise UnsupportedCriteria(f"{resource_type}?{name}: {code} cannot lead to {kind!r}; expected one of "
                                  f"{_some(parameter.targets)}")
    return Chain(parameter, tuple(Criteria(end, tuple(beyond(end, rest))) for end in kinds))


def _reverse(resource_type: str, name: str, beyond: Read) -> Reverse:
    found = _REVERSE.fullmatch(name)
    if not found or found[1] not in RESOURCE_TYPES:
        raise UnsupportedCriteria(f"{resource_type}?{name}: expected _has:Type:reference:parameter, such as "
                                  "_has:Observation:patient:code")
    source, code, rest = found.groups()
    parameter = _reference(source, name, code)
    if resource_type not in parameter.targets:
        raise UnsupportedCriteria(f"{resource_type}?{name}: {source}?{code} cannot lead to {resource_type}, only to "
                                  f"{_some(parameter.targets)}")
    return Reverse(parameter, (Criteria(source, tuple(beyond(source, rest))),))


def _members(resource_type: str, name: str, value: str, beyond: Read) -> Reverse:
    if name != "_list" or value.startswith("$"):
        raise UnsupportedCriteria(f"{resource_type}?{name}={value}: expected _list= and the id of a List on this "
                                  "server, without modifier; there are no functional lists like $current-problems")
    return Reverse(MEMBERS, (Criteria("List", tuple(beyond("List", "_id"))),))


def _reference(resource_type: str, name: str, code: str) -> SearchParameter:
    """The parameter ``code``, which must be one that leads to resources of this server."""
    parameter = search_parameters(resource_type).get(code)
    if parameter is None or parameter.type != "reference":
        known = [known.code for known in search_parameters(resource_type).values() if known.type == "reference"]
        raise UnsupportedCriteria(f"{name}: {resource_type} has no reference parameter {code!r}; it has {_some(known)}")
    kinds = Clause(resource_type, parameter).element_types()
    if kinds and "Reference" not in kinds:
        raise UnsupportedCriteria(f"{name}: {resource_type}?{code} holds no references but {', '.join(sorted(kinds))}, "
                                  f"which cannot be followed; ask for the value itself: {code}=…")
    return parameter


def _targets(resource_type: str, name: str, parameter: SearchParameter, rest: str) -> tuple[str, ...]:
    """Every type that the parameter leads to, if each of them defines what follows; else the type must be named."""
    code = rest.partition(":")[0].partition(".")[0]
    defining = [kind for kind in parameter.targets if code in search_parameters(kind)]
    if len(parameter.targets) == 1 or defining == list(parameter.targets):
        return parameter.targets
    raise UnsupportedCriteria(f"{resource_type}?{name}: {parameter.code} may lead to {_some(parameter.targets)}; say "
                              f"which, e.g. {parameter.code}:{(defining or parameter.targets)[0]}.{rest}")


def _some(names: Iterable[str]) -> str:
    """A list for a sentence, cut where nobody would read on."""
    names = sorted(names)
    return ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "") or "none"
