"""References: to resources of this server, elsewhere, by canonical URL, or by identifier alone.

Spec: https://hl7.org/fhir/R4/search.html#reference, https://hl7.org/fhir/R4/references.html#canonical
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..references import relative
from ..values import Reference


def convert(value: Any, kind: str, base_url: str = "") -> Iterable[Reference]:
    """The one reference of an element; none for a type that refers to nothing (an Attachment)."""
    if kind == "Reference":
        return _reference(value, base_url)
    if kind in ("canonical", "uri", "url"):
        url, _, version = value.partition("|")
        return (Reference(relative(url, base_url), version),)
    if kind == "Resource" and "id" in value:    # the first entry of a document or message
        return (Reference(f"{value['resourceType']}/{value['id']}"),)
    return ()


def _reference(reference: dict, base_url: str) -> Iterable[Reference]:
    text, identifier = reference.get("reference", ""), reference.get("identifier", {})
    if not text and not identifier:
        return ()
    target, _, version = relative(text, base_url).partition("/_history/")
    return (Reference(target, version, identifier.get("system", ""), identifier.get("value", "")),)
