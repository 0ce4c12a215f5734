"""The links from a resource to others, and how a transaction rewrites them.

Spec: https://hl7.org/fhir/R4/http.html#trules, https://hl7.org/fhir/R4/references.html
"""
from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html import escape, unescape
from typing import Any

from .definitions.structures import RESOURCE_TYPES, properties
from .validation.primitives import PRIMITIVES

# "Servers SHALL replace all matching links … resource references, elements of type uri, url, oid, uuid, and <a href=""
# & <img src="" in the narrative. Elements of type canonical are not replaced." Identifier.value, a string, stays too.
_LINK_TYPES = frozenset({"uri", "url", "oid", "uuid"})
_MARKUP_LINK = re.compile(r"""(<(?:a|img)\b[^<>]*?\s(?:href|src)\s*=\s*)(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)

Holder = dict[str, Any] | list[Any]
# holder, key, link, and the type of the element: uri, url, oid, uuid, xhtml or Reference
Link = tuple[Holder, str | int, str, str]


def find(resource: dict) -> Iterator[tuple[Holder, str | int, str]]:
    """Yield ``(holder, key, link)`` for each link that a transaction may have to rewrite.

    ``holder[key]`` is the link itself, in a narrative (``key == "div"``) the XHTML that the link stands in.
    Malformed parts are passed over.
    """
    return ((holder, key, link) for holder, key, link, _ in _of_resource(resource))


def references(resource: dict) -> Iterator[str]:
    """Yield each ``Reference.reference`` in a resource and those inside it: ``Patient/1``, ``#p1``, an absolute URL."""
    return (link for _, _, link, kind in _of_resource(resource) if kind == "Reference")


def rewrite(resource: dict, mapping: Mapping[str, str]) -> dict:
    """Replace links by what ``mapping`` says, ``{"urn:uuid:…": "Patient/1"}``; a ``#fragment`` after one is kept.

    :returns: a new resource, or the same one if no link is in ``mapping``; the given one is never changed
    """
    if not any(_target(link, mapping) for _, _, link in find(resource)):
        return resource
    resource = _copied(resource)
    # By place, since several links may stand in one narrative and each may be rewritten only once.
    places = {(id(holder), key): (holder, key, link) for holder, key, link in find(resource)}
    for holder, key, link in places.values():
        holder[key] = _rewritten_markup(holder[key], mapping) if key == "div" else _target(link, mapping) or link
    return resource


def relative(reference: str, base_url: str) -> str:
    """``Patient/1`` for an absolute reference below ``base_url``; any other reference as it is."""
    base = base_url.rstrip("/") + "/"
    return reference[len(base):] if base_url and reference.startswith(base) else reference


def _of_resource(resource: dict) -> Iterator[Link]:
    resource_type = resource.get("resourceType")
    if resource_type in RESOURCE_TYPES:
        yield from _of_object(resource_type, resource)


def _of_object(type_name: str, value: dict) -> Iterator[Link]:
    known = properties(type_name)
    for name, item in value.items():
        if name in known:
            kind = known[name].type
            if kind in _LINK_TYPES and not known[name].element.attribute:
                yield from _of_strings(value, name, item, kind)
            elif kind == "xhtml":
                yield from ((value, name, link, kind) for link in _markup_links(item))
            elif isinstance(item, (dict, list)):
                yield from _of_nested(kind, item)
            elif type_name == "Reference" and name == "reference":
                yield from _of_strings(value, name, item, "Reference")
        elif name.startswith("_"):
            yield from _of_nested("Element", item)


def _of_nested(type_name: str, item: Any) -> Iterator[Link]:
    if type_name in PRIMITIVES:
        return
    for one in item if isinstance(item, list) else (item,):
        if isinstance(one, dict):
            yield from _of_resource(one) if type_name == "Resource" else _of_object(type_name, one)


def _of_strings(holder: dict, name: str, item: Any, kind: str) -> Iterator[Link]:
    if isinstance(item, str):
        yield holder, name, item, kind
    elif isinstance(item, list):
        yield from ((item, index, one, kind) for index, one in enumerate(item) if isinstance(one, str))


def _markup_links(xhtml: Any) -> Iterator[str]:
    if isinstance(xhtml, str) and "<" in xhtml:
        yield from (unescape(match[2] or match[3] or "") for match in _MARKUP_LINK.finditer(xhtml))


def _rewritten_markup(xhtml: str, mapping: Mapping[str, str]) -> str:
    def replaced(match: re.Match) -> str:
        target = _target(unescape(match[2] or match[3] or ""), mapping)
        return f'{match[1]}"{escape(target)}"' if target else match[0]

    return _MARKUP_LINK.sub(replaced, xhtml)


def _target(link: str, mapping: Mapping[str, str]) -> str | None:
    if link in mapping:
        return mapping[link]
    start, sharp, fragment = link.partition("#")
    return f"{mapping[start]}#{fragment}" if sharp and start in mapping else None


def _copied(value: Any) -> Any:
    """A deep copy of JSON, several times quicker than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value
