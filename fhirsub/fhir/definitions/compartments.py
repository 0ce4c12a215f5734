"""The compartments of R4: which resources belong to a patient, an encounter, a practitioner, …

Spec: https://hl7.org/fhir/R4/compartmentdefinition.html
"""
from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from types import MappingProxyType

COMPARTMENTS = ("Device", "Encounter", "Patient", "Practitioner", "RelatedPerson")

_ITSELF = "{def}"   # how a CompartmentDefinition says that the resource which defines the compartment is in it


@lru_cache(maxsize=None)
def members(compartment: str) -> Mapping[str, tuple[str, ...]]:
    """The resource types that may be in a ``compartment``, each with the parameters one of which must lead to it.

    ``_id`` stands for the resource that defines the compartment. As published, a Patient is in its own compartment only
    through ``link``, and a Device in none.

    :returns: ``{"Observation": ("subject", "performer"), …}``
    """
    return MappingProxyType({name: tuple("_id" if code == _ITSELF else code for code in codes)
                             for name, codes in _published()[compartment].items()})


@lru_cache(maxsize=1)
def _published() -> dict[str, dict[str, list[str]]]:
    return json.loads(resources.files(__package__).joinpath("compartments.json").read_text(encoding="utf-8"))
