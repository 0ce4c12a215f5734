"""Parts of a resource: ``_summary`` and ``_elements``; what is left is tagged SUBSETTED.

Spec: https://hl7.org/fhir/R4/search.html#summary, https://hl7.org/fhir/R4/search.html#elements
"""
from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from .definitions.structures import Element, properties

SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED",
             "display": "subsetted"}
_ALWAYS = ("id", "meta")


def summary(resource: dict) -> dict:
    """``_summary=true``: the elements marked Σ in the definition of the type, and the required ones."""
    return _tagged(_kept(resource, resource["resourceType"], lambda element: element.summary or element.required))


def text(resource: dict) -> dict:
    """``_summary=text``: the narrative, id, meta and the required elements."""
    return elements(resource, ("text",))


def data(resource: dict) -> dict:
    """``_summary=data``: all but the narrative."""
    return _tagged({key: value for key, value in resource.items() if key != "text"})


def elements(resource: dict, names: Collection[str]) -> dict:
    """``_elements``: those named, id, meta and the required ones; ``value`` means any of ``value[x]``."""
    wanted = {name.rpartition(".")[2].removesuffix("[x]") for name in names} | set(_ALWAYS)
    known = properties(resource["resourceType"])
    return _tagged({key: value for key, value in resource.items() if key.lstrip("_") in wanted
                    or _chosen(known, key, lambda one: one.required or one.name in wanted)})


def _kept(part: dict, type_name: str, keep: Callable[[Element], bool]) -> dict:
    known = properties(type_name)
    return {key: _inside(value, known, key, keep) for key, value in part.items() if _chosen(known, key, keep)}


def _chosen(known: Any, key: str, keep: Callable[[Element], bool]) -> bool:
    found = known.get(key.removeprefix("_"))
    return keep(found.element) if found else key == "resourceType"


def _inside(value: Any, known: Any, key: str, keep: Callable[[Element], bool]) -> Any:
    """Backbones have elements that are marked and others; a datatype is left whole."""
    found = known.get(key)
    if found is None or "." not in found.type:
        return value
    if isinstance(value, list):
        return [_kept(one, found.type, keep) for one in value]
    return _kept(value, found.type, keep)


def _tagged(resource: dict) -> dict:
    meta = resource.get("meta", {})
    tags = [tag for tag in meta.get("tag", []) if tag.get("code") != SUBSETTED["code"]]
    return resource | {"meta": meta | {"tag": [*tags, SUBSETTED]}}
