"""What the search parameters of its type find in one resource.

Spec: https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from ...errors import UnsupportedCriteria
from ..definitions.parameters import SearchParameter, search_parameters
from ..fhirpath import plain
from ..terminology import Codes
from ..values import Composite
from . import dates, quantities, references, strings, tokens, uris, words

Find = Callable[[dict, dict, str], tuple]

# Search type to convert(value, fhir type, base_url) -> tuples of values.py. The special parameter (Location near) is no
# comparison of values: it has none.
_CONVERT: Mapping[str, Callable[[Any, str, str], Any]] = {
    "token": tokens.convert, "string": strings.convert, "date": dates.convert, "reference": references.convert,
    "uri": uris.convert, "number": quantities.convert_number, "quantity": quantities.convert_quantity,
    "special": lambda value, kind, base_url: ()}


def undecidable(asked: Any) -> Codes:
    """:raises UnsupportedCriteria: always, for no resource says which codes a value set has"""
    raise UnsupportedCriteria("asks which codes there are, so one resource alone cannot answer it; list the codes "
                              "instead: system|a,system|b")


class SearchValues:
    """The values of each search parameter, found when first asked for: ``values["code"] -> (Token(…), …)``.

    :param resource: ``{"resourceType": "Observation", …}``, not changed while this is in use
    :param base_url: this server's base; absolute references below it become ``Patient/1``
    :param expand: gives the codes of a :class:`~fhirsub.fhir.criteria.code_sets.CodeSet`, where a question has one
    :param resolve: ``resolve("Patient/1")`` is the current version of that resource of this server, or None; without it
        chains cannot be answered
    :raises KeyError: asked for a code that is no search parameter of the type
    """

    __slots__ = ("resource", "type", "base_url", "expand", "resolve", "_found")

    def __init__(self, resource: dict, base_url: str = "", expand: Callable[[Any], Codes] = undecidable,
                 resolve: Callable[[str], dict | None] | None = None):
        self.resource = resource
        self.type: str = resource["resourceType"]
        self.base_url = base_url.rstrip("/")
        self.expand = expand
        self.resolve = resolve
        self._found: dict[str, tuple] = {}

    def __getitem__(self, code: str) -> tuple:
        found = self._found.get(code)
        if found is None:
            found = self._found[code] = _finder(self.type, code)(self.resource, self.resource, self.base_url)
        return found

    def linked(self, code: str) -> Iterator[SearchValues]:
        """The resources of this server that the reference parameter ``code`` leads to."""
        for target in {value.target for value in self[code]}:
            resource = self.resolve(target) if target else None
            if resource is not None:
                yield SearchValues(resource, self.base_url, self.expand, self.resolve)

    def all(self) -> dict[str, tuple]:
        """The values of every parameter that finds any."""
        return {code: found for code in search_parameters(self.type) if (found := self[code])}


@lru_cache(maxsize=None)
def _finder(resource_type: str, code: str) -> Find:
    parameter = search_parameters(resource_type)[code]
    if parameter.type == "fulltext":
        return words.FIND[code]
    if parameter.type == "composite":
        return _composite(parameter, resource_type)
    return _single(parameter.type, plain.compile(parameter.expression, resource_type),
                   plain.beginnings(parameter.expression, resource_type))


def _single(search_type: str, extract: plain.Extract, keys: frozenset[str] | None = None) -> Find:
    """``find(node, resource, base_url)``: what a parameter finds below ``node``, each value once.

    :param keys: of a node, if it must have one of them for there to be anything
    """
    convert = _CONVERT[search_type]

    def find(node, resource, base_url):
        if keys is not None and keys.isdisjoint(node):
            return ()
        selected = extract(node, resource)
        if not selected:    # most parameters of most resources
            return ()
        found: dict[Any, None] = {}     # a set in the order of the resource
        for value, kind in selected:
            try:
                for one in convert(value, kind, base_url):
                    found[one] = None
            except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
                # Only a host application's resource gets here unchecked: what is not R4 (February 30th, a text where an
                # object belongs) cannot be found.
                continue
        return tuple(found)
    return find


def _composite(parameter: SearchParameter, resource_type: str) -> Find:
    roots = plain.compile(parameter.expression, resource_type)

    def find(node, resource, base_url):
        found = []
        for root, kind in roots(node, resource):
            parts: list[tuple] = []
            # Last component first: it is the value, which is more often absent than the code before it.
            for component in reversed(_components(resource_type, parameter.code, kind)):
                parts.insert(0, component(root, resource, base_url))
                if not parts[0]:
                    break
            else:
                found.append(Composite(tuple(parts)))
        return tuple(found)
    return find


@lru_cache(maxsize=None)
def _components(resource_type: str, code: str, here: str) -> tuple[Find, ...]:
    """A finder for each component of a composite, below a node of type ``here``."""
    parameters = search_parameters(resource_type)
    return tuple(_single(parameters[name].type, plain.compile(expression, resource_type, here))
                 for name, expression in parameters[code].components)
