"""What a search parameter can find in a resource: plain tuples, one kind for each R4 search type.

Spec: https://hl7.org/fhir/R4/search.html#ptypes
"""
from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple


class Token(NamedTuple):
    """A code, Coding, Identifier, ContactPoint, boolean or string; ``system`` and ``code`` are "" when absent."""

    system: str
    code: str
    text: str = ""          # display or text, as written, for :text
    type_system: str = ""   # Identifier.type, for :of-type
    type_code: str = ""


class String(NamedTuple):
    """A text; ``folded`` is lower case without accents, ``exact`` as written."""

    folded: str
    exact: str


class Date(NamedTuple):
    """A time span in microseconds since 1970 UTC, half open: ``low <= t < high``; open ends are MIN and MAX."""

    low: int
    high: int


class Reference(NamedTuple):
    """``target`` is ``Patient/1`` for this server, else the absolute URL or canonical, without version."""

    target: str
    version: str = ""
    identifier_system: str = ""
    identifier_value: str = ""


class Words(NamedTuple):
    """The different words of a text, folded, each between blanks: ``" anna maria "``."""

    text: str


class Uri(NamedTuple):
    uri: str


class Number(NamedTuple):
    """A number or a Range; ``low``/``high`` are its bounds, None when open."""

    low: Decimal | None
    high: Decimal | None


class Quantity(NamedTuple):
    low: Decimal | None
    high: Decimal | None
    system: str
    code: str
    unit: str


class Composite(NamedTuple):
    """Values of the components found together at one place: one tuple of values per component, in order."""

    components: tuple


# Open ends of a Period: year 1 and year 9999 in microseconds, so that they fit a BIGINT column.
MIN = -62135596800_000000
MAX = 253402300800_000000
