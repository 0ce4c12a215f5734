"""The compartments that a resource is in: ``Patient/1``, ``Encounter/2``; and the Groups and Lists that hold those.

Spec: https://hl7.org/fhir/R4/compartmentdefinition.html
"""
from __future__ import annotations

from ..definitions.compartments import COMPARTMENTS, members
from ..search_values import SearchValues


def compartments_of(values: SearchValues, id: str) -> frozenset[str]:
    """``{"Patient/1", "Encounter/2"}``, the resource itself among them: a patient's own record is the patient's."""
    found = {f"{values.type}/{id}"}
    for compartment in COMPARTMENTS:
        for code in members(compartment).get(values.type, ()):
            if code != "_id":
                found.update(value.target for value in values[code] if value.target.startswith(compartment + "/"))
    return frozenset(found)
