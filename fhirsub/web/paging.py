"""How many results a page has, and the links from page to page.

Spec: https://hl7.org/fhir/R4/http.html#paging
"""
from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote, urlencode

from ..config import Config
from ..errors import BadRequest
from .request import Request

CURSOR = "_cursor"  # our own parameter: where the next page begins; clients take it from the link as it is


def count(request: Request, config: Config) -> int:
    """``_count``, or the default, lowered to the largest page; 0 asks for the total alone.

    :raises BadRequest: not a whole number
    """
    text = request.parameter("_count")
    if text is None:
        return config.default_page
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise BadRequest(f"_count: expected a whole number from 0 to 999999999; got {text!r}", code="value")
    return min(int(text), config.max_page)


def links(request: Request, path: str, next_cursor: str | None, without: Collection[str] = ()) -> list[tuple[str, str]]:
    """``self`` with the parameters that were followed, and ``next`` if there is more.

    :param path: below the base
    :param without: names of parameters that were ignored
    """
    used = [(name, value) for name, value in request.query if name not in without]
    found = [("self", _url(request, path, used))]
    if next_cursor:
        kept = [(name, value) for name, value in used if name != CURSOR]
        found.append(("next", _url(request, path, [*kept, (CURSOR, next_cursor)])))
    return found


def _url(request: Request, path: str, pairs: list[tuple[str, str]]) -> str:
    query = urlencode(pairs, safe=":/,$", quote_via=quote)
    return "/".join(part for part in (request.base_url, path) if part) + (f"?{query}" if query else "")
