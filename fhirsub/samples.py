"""Resources out of files, for ``fhirsub match``: a resource, a Bundle of them, or NDJSON.

Spec: https://hl7.org/fhir/R4/json.html, https://hl7.org/fhir/R4/nd-json.html
"""
from __future__ import annotations

from .errors import BadRequest
from .fhir import json
from .matching import read


def samples(data, name, *, whole=False):
    """Yield the resources in a file, in order.

    :param data: the bytes of the file
    :param name: of the file, for errors
    :param whole: take a Bundle as the resource it is, not as its entries
    :raises BadRequest: not JSON, or no R4 resource; names the file, and in NDJSON the line
    """
    for where, text in _texts(data, name):
        try:
            resource = read(text)
            resources = [resource] if whole or resource["resourceType"] != "Bundle" else _entries(resource)
        except BadRequest as error:
            raise BadRequest(f"{where}: {error}") from None
        yield from resources


def _texts(data, name):
    """``(where, JSON text)``: each line on its own if the first is JSON by itself, else all of it."""
    lines = [(number, line) for number, line in enumerate(data.splitlines(), 1) if line.strip()]
    if len(lines) > 1 and _is_json(lines[0][1]):
        return ((f"{name}, line {number}", line) for number, line in lines)
    return [(name, data)]


def _is_json(text):
    try:
        json.decode(text)
    except BadRequest:
        return False
    return True


def _entries(bundle):
    """The resources of the entries; one that deletes or only asks has none."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadRequest("Bundle.entry: expected a list of objects")
    return [read(entry["resource"]) for entry in entries if "resource" in entry]
