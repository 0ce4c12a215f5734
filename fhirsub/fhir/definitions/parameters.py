"""The search parameters of each R4 resource type, as published.

Spec: https://hl7.org/fhir/R4/searchparameter-registry.html
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

_URL = "http://hl7.org/fhir/SearchParameter/"

# Published as strings without an expression, for each server searches texts in its own way.
_WORDS = [
    ["_content", "fulltext", "Resource", "Resource-content", "Search on the entire content of the resource", [], []],
    ["_text", "fulltext", "Resource", "DomainResource-text", "Search on the narrative of the resource", [], []]]


@dataclass(frozen=True, slots=True)
class SearchParameter:
    """One search parameter of one resource type.

    :param code: the name in a search, ``general-practitioner``
    :param type: token, reference, string, date, uri, number, quantity, composite, special, or fulltext, which is
        published as string
    :param expression: FHIRPath, restricted to the resource type at hand
    :param targets: resource types that a reference may lead to
    :param components: of a composite: ``(code, expression)``, the expression relative to what ``expression`` finds
    """

    code: str
    type: str
    expression: str
    url: str
    description: str = ""
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()


@lru_cache(maxsize=None)
def search_parameters(resource_type: str) -> Mapping[str, SearchParameter]:
    """The parameters of ``resource_type`` by code, with those that every resource has (``_id``, ``_tag``, …).

    ``_query`` has no expression and is not among them. A type without parameters of its own, or unknown, has only the
    common ones.
    """
    published = _published()
    rows = published["Resource"] + _WORDS + published.get(resource_type, [])
    return MappingProxyType({row[0]: _read(row) for row in rows})


def _read(row: list) -> SearchParameter:
    code, kind, expression, url, description, targets, components = row
    if targets == ["Any"]:
        targets = _published()["Any"]
    return SearchParameter(code, kind, expression, _URL + url, description, tuple(targets),
                           tuple((name, path) for name, path in components))


@lru_cache(maxsize=1)
def _published() -> dict[str, list]:
    return json.loads(resources.files(__package__).joinpath("parameters.json").read_text(encoding="utf-8"))
