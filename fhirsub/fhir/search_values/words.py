"""Words: what ``_text`` and ``_content`` look for, in the narrative of a resource and in all its texts.

Spec: https://hl7.org/fhir/R4/search.html#text, https://hl7.org/fhir/R4/search.html#content
"""
from __future__ import annotations

import html
import re
from functools import lru_cache

from ..values import Words
from .strings import fold

_WORD = re.compile(r"\w+")
_TAG = re.compile(r"<[^<>]*>")

# What a reader would not call text: a type, and strings that stand for bytes.
_NO_TEXT = frozenset({"resourceType", "data", "hash", "query", "carrierAIDC", "valueBase64Binary", "fixedBase64Binary",
                      "patternBase64Binary", "defaultValueBase64Binary"})


def split(text: str) -> dict[str, None]:
    """The words of a text as they are compared, each once: letters, digits and ``_``, without case and accents.

    >>> list(split("Zoë's follow-up, Zoe"))
    ['zoe', 's', 'follow', 'up']
    """
    pieces = dict.fromkeys(text.split())  # most repeat, and most are ASCII: to fold them all takes four times as long
    folded = " ".join(piece if piece.isascii() else fold(piece) for piece in pieces)
    return dict.fromkeys(_WORD.findall(folded.casefold()))


def narrative(node: dict, resource: dict, base_url: str) -> tuple[Words, ...]:
    """The words of ``Resource.text.div``."""
    text = resource.get("text")
    div = text.get("div") if isinstance(text, dict) else None
    return _words(_seen(div)) if isinstance(div, str) else ()


def content(node: dict, resource: dict, base_url: str) -> tuple[Words, ...]:
    """The words of every string in the resource; ``meta`` has parameters of its own, and part of it is the server's."""
    texts, narratives = _strings(resource)
    found = split("\n".join(texts))
    for div in narratives:
        found |= _seen(div)
    return _words(found)


def _words(found: dict[str, None]) -> tuple[Words, ...]:
    return (Words(f" {' '.join(found)} "),) if found else ()


def _strings(resource: dict) -> tuple[list[str], list[str]]:
    """All that are text, and apart from them the narratives: there may be several, in a Bundle."""
    texts, narratives, waiting = [], [], [resource]
    for node in waiting:
        for name, value in node.items():
            for one in value if isinstance(value, list) else (value,):
                if isinstance(one, str) and name not in _NO_TEXT:
                    (narratives if name == "div" else texts).append(one)
                elif isinstance(one, dict) and name != "meta":
                    waiting.append(one)
    return texts, narratives


@lru_cache(8)  # both parameters look at the narrative
def _seen(div: str) -> dict[str, None]:
    """The words of XHTML as a reader sees it; a tag ends a word."""
    return split(html.unescape(_TAG.sub(" ", div)))


FIND = {"_text": narrative, "_content": content}
