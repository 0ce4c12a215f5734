"""Derive ``parameters.json`` from the published R4 SearchParameters; see README.rst beside it.

Spec: https://hl7.org/fhir/R4/searchparameter.html, https://hl7.org/fhir/R4/searchparameter-registry.html

Usage::

    python -m fhirsub.fhir.definitions.generate_parameters MEDPLUM/r4
"""
from __future__ import annotations

import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).parent
URL = "http://hl7.org/fhir/SearchParameter/"
# In the package, and not among the 1375 of R4 4.0.1.
NOT_R4 = {"DetectedIssue-status", "DeviceDefinition-classification", "ServiceRequest-order-detail"}
# Published with the two definitions exchanged: relatesTo.code is the relation, relatesTo.target what it relates to.
CORRECTED = {"DocumentReference-relationship": [["relation", "code"], ["relatesto", "target"]]}


def main(folder: str) -> None:
    source = Path(folder)
    definitions = [one for one in resources(source, "search-parameters.json")
                   if one["id"] not in NOT_R4 and "expression" in one]
    codes = {one["url"]: one["code"] for one in definitions}
    rows: dict[str, list] = {"Any": sorted({one for definition in definitions for one in definition.get("target", [])})}
    for definition in definitions:
        for resource_type in definition["base"]:
            rows.setdefault(resource_type, []).append(row(definition, resource_type, codes))
    (HERE / "parameters.json").write_text(pretty(rows), encoding="utf-8")


def resources(source: Path, name: str) -> list[dict]:
    return [entry["resource"] for entry in json.loads((source / name).read_text(encoding="utf-8"))["entry"]]


def row(definition: dict, resource_type: str, codes: dict) -> list:
    """``[code, type, expression, url, description, targets, components]``; see ``parameters._read``."""
    components = CORRECTED.get(definition["id"]) or [
        [codes[one["definition"]], one["expression"]] for one in definition.get("component", [])]
    return [definition["code"], definition["type"], restrict(definition["expression"], resource_type),
            definition["url"].removeprefix(URL), describe(definition["description"], resource_type),
            targets(definition), components]


def targets(definition: dict) -> list[str]:
    """Its targets; ``["Any"]`` for the whole list of resource types, which is written once."""
    found = definition.get("target", [])
    return ["Any"] if len(found) > 140 else found


def restrict(expression: str, resource_type: str) -> str:
    """The alternatives of a union that start at ``resource_type``; those that name no type stay.

    >>> restrict("Patient.name | Person.name", "Person")
    'Person.name'
    """
    kept = []
    for part in re.split(r"\s*\|\s*", expression):
        root = re.match(r"\(?([A-Z]\w*)?", part)[1]
        if root in (None, resource_type, "Resource", "DomainResource"):
            kept.append(part)
    return " | ".join(kept)


def describe(text: str, resource_type: str) -> str:
    """The one line about ``resource_type`` of "Multiple Resources: * [Type](type.html): text" lists."""
    one = re.search(rf"\* \[{resource_type}\]\([^)]*\): *([^\r\n]*)", text)
    return " ".join((one[1] if one else text).split())


def pretty(rows: dict[str, list]) -> str:
    """One parameter a line, so that a new release of the source reads as a diff."""
    def compact(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    types = [f"{compact(name)}:[\n" + ",\n".join(compact(one) for one in sorted(rows[name])) + "]"
             for name in sorted(rows)]
    return "{\n" + ",\n".join(types) + "\n}\n"


if __name__ == "__main__":
    main(sys.argv[1])
