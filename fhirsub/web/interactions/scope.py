"""Where a search looks: one resource type, several, or those in a compartment.

Spec: https://hl7.org/fhir/R4/http.html#search, https://hl7.org/fhir/R4/compartmentdefinition.html
"""
from __future__ import annotations

from dataclasses import dataclass

from ...errors import BadRequest, NotFound
from ...fhir.criteria import Criteria
from ...fhir.definitions.compartments import members
from ...fhir.definitions.parameters import search_parameters
from ..request import Request
from ..server import Server
from .conditions import criteria

EVERY_TYPE = "*"    # GET [base]/Patient/1/*


@dataclass(frozen=True)
class Scope:
    """The types that are searched, and the compartment that what is found must be in.

    :param types: in alphabetical order
    :param compartment: ``Patient``; empty for none
    :param id: of the resource that defines the compartment
    """

    types: tuple[str, ...]
    compartment: str = ""
    id: str = ""

    def knows(self, code: str) -> bool:
        """Whether ``code`` is a search parameter of all the types.

        :raises BadRequest: of some only: those without it would be found unasked
        """
        kinds = {kind: search_parameters(kind).get(code) for kind in self.types}
        found = [kind for kind, parameter in kinds.items() if parameter]
        if found and len(found) < len(kinds):
            other = next(kind for kind in kinds if kind not in found)
            raise BadRequest(f"{code}: {found[0]} has this search parameter, and {other} does not; a search over "
                             "several types takes parameters that all have, and _type says which types",
                             code="not-supported")
        return bool(found)

    def sorts(self, code: str) -> bool:
        """Whether ``code`` has values of one kind in all the types, so that they can be sorted by it."""
        return self.knows(code) and len({search_parameters(kind)[code].type for kind in self.types}) == 1

    def alternatives(self, pairs: list[tuple[str, str]], base_url: str) -> list[Criteria]:
        """What must be true of a resource: one of these.

        :raises BadRequest: a parameter or value is not supported
        """
        return [criteria(kind, [*pairs, *inside], base_url) for kind in self.types for inside in self._inside(kind)]

    def _inside(self, kind: str) -> list[list[tuple[str, str]]]:
        """The conditions each of which puts a resource of this type into the compartment."""
        if not self.compartment:
            return [[]]
        return [[(code, self.id if code == "_id" else f"{self.compartment}/{self.id}")]
                for code in members(self.compartment)[kind]]


def scope(server: Server, request: Request) -> Scope:
    """What ``request`` searches.

    :raises BadRequest: ``_type`` names what is no resource type here
    :raises NotFound: no resource of the type is ever in the compartment
    """
    if not request.compartment:
        possible = server.resource_types if takes_types(request) else {request.type}
        return Scope(_chosen(request, possible))
    possible = server.resource_types & set(members(request.compartment))
    if request.type == EVERY_TYPE:
        return Scope(_chosen(request, possible), request.compartment, request.id)
    if request.type not in possible:
        raise NotFound(f"no {request.type} is ever in the compartment of a {request.compartment}")
    return Scope((request.type,), request.compartment, request.id)


def takes_types(request: Request) -> bool:
    """Whether ``_type`` may say which types to search."""
    return request.type in ("", EVERY_TYPE)


def _chosen(request: Request, possible: frozenset[str] | set[str]) -> tuple[str, ...]:
    """The types that ``_type`` names; all that are possible if there is none."""
    asked = [value for name, value in request.query if name == "_type"]
    if not asked or not takes_types(request):
        return tuple(sorted(possible))
    if len(asked) > 1:
        raise BadRequest("_type: a resource has only one type; list several with commas in one _type", code="value")
    names = set(asked[0].split(","))
    if unknown := sorted(names - possible):
        raise BadRequest(f"_type: {unknown[0]!r} is no resource type that can be found here", code="value")
    return tuple(sorted(names))
