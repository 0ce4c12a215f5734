"""Bundles put together from JSON text: stored resources go in as they are, without being decoded.

Spec: https://hl7.org/fhir/R4/bundle.html
"""
from __future__ import annotations

from collections.abc import Iterable

from ..fhir import json


def bundle(kind: str, entries: Iterable[bytes], *, total: int | None = None,
           links: Iterable[tuple[str, str]] = ()) -> bytes:
    """The JSON text of a Bundle.

    :param kind: ``searchset``, ``history``, ``batch-response`` or ``transaction-response``
    :param entries: each from :func:`entry`
    :param links: ``[("self", url), ("next", url)]``
    """
    parts = [b'{"resourceType":"Bundle","type":', json.encode(kind)]
    if total is not None:
        parts += [b',"total":', json.encode(total)]
    if link := [{"relation": relation, "url": url} for relation, url in links]:
        parts += [b',"link":', json.encode(link)]
    if joined := b",".join(entries):    # an empty array is no FHIR
        parts += [b',"entry":[', joined, b"]"]
    return b"".join([*parts, b"}"])


def entry(full_url: str = "", resource: bytes = b"", **rest: dict) -> bytes:
    """The JSON text of one ``Bundle.entry``.

    :param resource: JSON text
    :param rest: ``search``, ``request`` or ``response``
    """
    parts = [b'"fullUrl":' + json.encode(full_url)] if full_url else []
    if resource:
        parts.append(b'"resource":' + resource)
    parts += [b'"%s":%s' % (name.encode(), json.encode(value)) for name, value in rest.items()]
    return b"{" + b",".join(parts) + b"}"
