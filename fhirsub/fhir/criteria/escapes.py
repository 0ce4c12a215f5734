r"""The separators ``,`` ``|`` ``$`` of a search value, and the backslash that makes them ordinary characters.

Spec: https://hl7.org/fhir/R4/search.html#escaping
"""
from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(.?)", re.DOTALL)
_SPECIAL = re.compile(r"([\\,|$])")


def split(text: str, separator: str) -> list[str]:
    """Cut ``text`` at each separator that no backslash precedes; the pieces keep their escapes."""
    if "\\" not in text:
        return text.split(separator)
    pieces, start, at = [], 0, 0
    while at < len(text):
        if text[at] == "\\":
            at += 1  # whatever follows is no separator
        elif text[at] == separator:
            pieces.append(text[start:at])
            start = at + 1
        at += 1
    return pieces + [text[start:]]


def unescape(text: str) -> str:
    r"""``Acme\, Inc`` as ``Acme, Inc``.

    :raises ValueError: a backslash before anything but ``,`` ``|`` ``$`` or a backslash, which R4 calls illegal
    """
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(found: re.Match) -> str:
    if found[1] not in {",", "|", "$", "\\"}:
        raise ValueError(rf"'\{found[1]}' is no escape; a backslash itself is written \\")
    return found[1]


def escape(text: str) -> str:
    r"""``Acme, Inc`` as ``Acme\, Inc``."""
    return _SPECIAL.sub(r"\\\1", text)
