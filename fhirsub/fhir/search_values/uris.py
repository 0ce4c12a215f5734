"""URIs: compared as they are written.

Spec: https://hl7.org/fhir/R4/search.html#uri
"""
from __future__ import annotations

from collections.abc import Iterable

from ..values import Uri


def convert(value: str, kind: str, base_url: str = "") -> Iterable[Uri]:
    """The URI as written; a canonical with a version (``http://…|2.0``) is also found without it."""
    if kind == "canonical" and "|" in value:
        return Uri(value), Uri(value.partition("|")[0])
    return (Uri(value),)
