"""From the text of a criteria, or the pairs of a query, to :class:`Criteria`; what cannot be decided is refused.

Spec: https://hl7.org/fhir/R4/search.html, https://hl7.org/fhir/R4/subscription-definitions.html#Subscription.criteria
"""
from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from functools import lru_cache
from urllib.parse import unquote_plus

from ...errors import UnsupportedCriteria
from ..definitions.parameters import SearchParameter, search_parameters
from ..definitions.structures import RESOURCE_TYPES
from . import linking, predicate
from .chains import Link
from .clause import Clause
from .criteria import Criteria
from .escapes import split

# An OR list this long is a list of resources, not a question. SQLite takes conditions up to a depth of 1,000, and each
# value of a list can count twice.
MAX_VALUES = 400
MAX_VALUE_LENGTH = 8_000  # characters of one parameter; a longer LIKE pattern is refused by SQLite

MAX_PARSED = 2_048  # kept: a Subscription's criteria is read at the door, inside the transaction and by the matcher

_HARMLESS = {"_format", "_pretty"}  # they say how to write an answer down

_RESULT = "it shapes the result of a search and selects nothing; leave it out"
_NEEDS_STORE = "needs other resources than the one written; ask for what the resource itself says"
_UNDECIDED = {
    **dict.fromkeys(("_sort", "_count", "_include", "_revinclude", "_summary", "_total", "_elements", "_contained",
                     "_containedType", "_score"), _RESULT),
    "_has": _NEEDS_STORE, "_list": _NEEDS_STORE, "_query": "names a query that this server does not define",
    "_filter": "is not supported; use the search parameters themselves",
    "_type": "the type stands before the ?, one for each criteria"}


@lru_cache(MAX_PARSED)
def parse(text: str, base_url: str = "", *, chains: bool = False) -> Criteria:
    """The criteria ``Observation?code=a,b&status:not=x``, also with a leading ``/`` or ``base_url``.

    :param text: percent-encoded, as in a URL
    :param base_url: the base of this server, without which references to its resources are foreign
    :param chains: take chains too, which resources can answer whose :class:`.SearchValues` resolve references
    :raises UnsupportedCriteria: not a search, or one that cannot be decided from one resource; says what would do
    """
    path, _, query = text.strip().partition("?")
    base_url = base_url.rstrip("/")
    below_base = bool(base_url) and path.startswith(base_url + "/")
    resource_type = path[len(base_url) + 1:] if below_base else path.removeprefix("/")
    pairs = [_pair(part) for part in query.split("&") if part]
    return _criteria(resource_type, [pair for pair in pairs if pair[0] not in _HARMLESS], base_url,
                     _with_chains if chains else _predicates)


def parse_query(resource_type: str, pairs: Iterable[tuple[str, str]], base_url: str = "") -> Criteria:
    """The criteria of a search, from its ``(name, value)`` pairs as they are after percent-decoding.

    Chains, ``_has`` and ``_list`` are taken as well; the database can answer what :meth:`.Criteria.test` then cannot.

    :raises UnsupportedCriteria: as :func:`parse`
    """
    return _criteria(resource_type, pairs, base_url, _with_links)


def _criteria(resource_type: str, pairs: Iterable[tuple[str, str]], base_url: str, read: Callable) -> Criteria:
    if resource_type not in RESOURCE_TYPES:
        raise UnsupportedCriteria(f"expected a search such as Observation?code=1234-5, got {resource_type[:80]!r} "
                                  f"where the resource type should be{_suggestion(resource_type, RESOURCE_TYPES)}")
    base_url = base_url.rstrip("/")
    predicates = [one for name, value in pairs for one in read(resource_type, name, value, base_url)]
    if sum(len(one.values) for one in predicates) > MAX_VALUES:
        raise UnsupportedCriteria(f"more than {MAX_VALUES} values; split the criteria", code="too-costly")
    if sum(one.length for one in predicates if isinstance(one, Link)) > linking.MAX_ALL_LINKS:
        raise UnsupportedCriteria(f"more than {linking.MAX_ALL_LINKS} links in all chains; split the search",
                                  code="too-costly")
    unique = {one.canonical(): one for one in predicates}
    return Criteria(resource_type, tuple(unique[text] for text in sorted(unique)))


def _pair(part):
    name, _, value = part.partition("=")
    try:
        return unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")
    except UnicodeDecodeError:
        raise UnsupportedCriteria(f"{part[:80]!r} is not percent-encoded UTF-8", code="value") from None


def _with_links(resource_type, name, value, base_url):
    """What a parameter asks that may be about other resources than the one that is found."""
    if not linking.linked(name):
        return _predicates(resource_type, name, value, base_url)

    def beyond(kind, rest):
        return _with_links(kind, rest, value, base_url)

    return [linking.read(resource_type, name, value, beyond)]


def _with_chains(resource_type, name, value, base_url):
    """What a parameter asks that may be about the resources which the written one refers to."""
    if "." not in name or name.startswith("_"):
        return _predicates(resource_type, name, value, base_url)
    return [linking.read(resource_type, name, value, lambda kind, rest: _with_chains(kind, rest, value, base_url))]


def _predicates(resource_type, name, value, base_url):
    code, colon, modifier = name.partition(":")
    parameter = _parameter(resource_type, name, code)
    if colon and not modifier:
        raise UnsupportedCriteria(f"{resource_type}?{name}: the modifier after the colon is missing")
    if len(value) > MAX_VALUE_LENGTH:
        raise UnsupportedCriteria(f"{resource_type}?{name}: expected at most {MAX_VALUE_LENGTH} characters; "
                                  f"got {len(value)}", code="value")
    if "\0" in value:
        raise UnsupportedCriteria(f"{resource_type}?{name}: the value has a NUL character, which no text may have",
                                  code="value")
    clause = Clause(resource_type, parameter, modifier or None, base_url)
    url, version = _business_version(clause, value)
    yield predicate.read(url, clause)
    if version:
        yield predicate.read(version, clause._replace(parameter=search_parameters(resource_type)["version"]))


def _parameter(resource_type: str, name: str, code: str) -> SearchParameter:
    known = search_parameters(resource_type)
    if "." in name:
        raise UnsupportedCriteria(f"{resource_type}?{name}: a chain {_NEEDS_STORE}, e.g. {code.partition('.')[0]}=id")
    if code in _UNDECIDED:
        raise UnsupportedCriteria(f"{resource_type}?{code}: {_UNDECIDED[code]}")
    if code not in known:
        raise UnsupportedCriteria(f"{resource_type}?{code}: no such search parameter{_suggestion(code, known)}")
    if known[code].type == "special":
        raise UnsupportedCriteria(f"{resource_type}?{code}: is not supported; leave it out")
    return known[code]


def _business_version(clause: Clause, value: str) -> tuple[str, str]:
    """Cut ``url|version`` of a canonical resource in two, for the version is a parameter of its own."""
    parts = split(value, "|")
    canonical = clause.parameter.code == "url" and "version" in search_parameters(clause.resource_type)
    if not canonical or clause.modifier or len(parts) == 1:
        return value, ""
    if len(parts) > 2 or not all(parts) or len(split(value, ",")) > 1:
        raise UnsupportedCriteria(f"{clause.resource_type}?url={value}: expected one url|version; several cannot be "
                                  "combined with a comma", code="value")
    return parts[0], parts[1].replace("|", r"\|")


def _suggestion(found, known) -> str:
    close = get_close_matches(found[:80], sorted(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
