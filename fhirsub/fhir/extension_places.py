"""Where the extensions of this server may stand: what it does not read there might narrow what is notified.

Spec: https://hl7.org/fhir/R4/extensibility.html
"""
from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from ..errors import Issue, Unprocessable
from .extension_definitions import DEFINITIONS
from .extensions import OPERATOR, TOPICS

# Ours, and those that say of a Subscription what this server does not evaluate; without scheme, in lower case.
_FAMILIES = ("fhirsub.org/structuredefinition/", "hl7.org/fhir/subscription/topic",
             "hl7.org/fhir/uv/subscriptions-backport/")
_PLACES = {one["url"]: [context["expression"] for context in one["context"]] for one in DEFINITIONS} | {
    OPERATOR: [f"{TOPICS}.valueReference"]}


def check(resource: dict) -> None:
    """Refuse an extension that is or looks like one of this server's and is not read where it stands.

    :raises Unprocessable: one issue for each
    """
    kind = resource["resourceType"]
    issues = [Issue(f"{where}: {told}", expression=where, code="not-supported")
              for where, told in _misplaced(resource, kind, kind)]
    if issues:
        raise Unprocessable(issues=issues)


def _misplaced(element: dict, where: str, place: str) -> Iterator[tuple[str, str]]:
    """``(path, what is wrong)`` of each below ``element``.

    :param place: as ``where`` without indices, beginning at the innermost extension: by its URL
    """
    for name, value in element.items():
        for index, one in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(one, dict):
                at = f"{where}.{name}[{index}]" if isinstance(value, list) else f"{where}.{name}"
                url = one.get("url", "") if name == "extension" else ""
                if _is_ours(url) and place not in _PLACES.get(url, ()):
                    yield at, f"this server does not evaluate {url!r} here, and ignores none of its kind; {_cure(url)}"
                yield from _misplaced(one, at, url or f"{place}.{name}")


def _is_ours(url: str) -> bool:
    return url.lower().partition("//")[2].startswith(_FAMILIES)


def _cure(url: str) -> str:
    if url in _PLACES:
        return f"it belongs on {' or '.join(_PLACES[url])}"
    near = get_close_matches(url, _PLACES, 1, 0.8)
    return f"did you mean {near[0]}?" if near else "leave it out"
