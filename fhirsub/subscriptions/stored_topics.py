"""The topics as their EventDefinitions are stored now, for who writes a resource that names them.

The matcher knows them as they were at each place in the log: :mod:`fhirsub.subscriptions.topics`.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

from ..errors import Unprocessable
from ..fhir.topics import read
from ..store import event_definitions


def finder(tx, base_url=""):
    """``find(reference)``: the active topic that goes by it, or None; asks for each name once.

    ``find`` raises Unprocessable if several go by it, or what is stored cannot be evaluated any more.
    """
    found = {}

    def find(reference):
        if reference not in found:
            versions = event_definitions.active(tx, reference, base_url)
            if len(versions) > 1:
                raise Unprocessable(f"{reference!r}: several active EventDefinitions go by it; say EventDefinition/ID, "
                                    "or url|version", code="multiple-matches")
            found[reference] = read(versions[0].resource, base_url) if versions else None
        return found[reference]
    return find
