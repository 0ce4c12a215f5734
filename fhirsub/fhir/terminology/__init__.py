"""Terminology: which codes a value set holds and which a code subsumes, from resources alone.

Spec: https://hl7.org/fhir/R4/terminologies.html
"""
from __future__ import annotations

from ...errors import UnsupportedCriteria
from .concepts import Concepts
from .finding import Codes, Find, present
from .value_sets import MAX_CODES, Expander

__all__ = ["Codes", "Find", "expand", "subsumed"]


def expand(value_set: str, find: Find) -> Codes:
    """The codes of a value set.

    :param value_set: canonical URL, also with ``|version``, or ``ValueSet/id``
    :param find: gives the ValueSets and CodeSystems that it is made of
    :raises UnsupportedCriteria: a resource is missing, incomplete or cannot be evaluated; names it
    """
    return Expander(find).codes(value_set)


def subsumed(system: str, code: str, relation: str, find: Find) -> Codes:
    """A code with all that it subsumes (``below``), or with all that subsume it (``above``).

    :raises UnsupportedCriteria: the CodeSystem is missing or incomplete, or does not have the code
    """
    concepts = Concepts(present("CodeSystem", system, find))
    found = concepts.below(code) if relation == "below" else concepts.above(code)
    if len(found) > MAX_CODES:
        raise UnsupportedCriteria(f"{concepts.name}: {code!r} subsumes more than {MAX_CODES} codes", code="too-costly")
    return frozenset((system, one) for one in found)
