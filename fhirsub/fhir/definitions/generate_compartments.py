"""Derive ``compartments.json`` from the published R4 CompartmentDefinitions; see README.rst beside it.

Spec: https://hl7.org/fhir/R4/compartmentdefinition.html

Usage::

    python -m fhirsub.fhir.definitions.generate_compartments MEDPLUM/r4
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

from .generate_parameters import HERE, resources


def main(folder: str) -> None:
    found = {one["code"]: members(one) for one in resources(Path(folder), "profiles-resources.json")
             if one["resourceType"] == "CompartmentDefinition"}
    (HERE / "compartments.json").write_text(pretty(found), encoding="utf-8")


def members(definition: dict) -> dict[str, list[str]]:
    """The parameters that put a resource of each type into the compartment; a type without any is never in it."""
    return {one["code"]: one["param"] for one in definition["resource"] if one.get("param")}


def pretty(found: dict[str, dict[str, list[str]]]) -> str:
    """One type a line, so that a new release of the source reads as a diff."""
    def compact(value):
        return json.dumps(value, separators=(",", ":"))
    parts = [f"{compact(name)}:{{\n" + ",\n".join(f"{compact(one)}:{compact(of[one])}" for one in sorted(of)) + "}"
             for name, of in sorted(found.items())]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main(sys.argv[1])
