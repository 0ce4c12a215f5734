"""What must be known of a change beyond its own values, because some question in use asks for it."""
from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

ANY = "*"  # any resource type


class Needs:
    """The needs of all questions in use, by resource type.

    :param names: as :meth:`.Question.needs` gives them: a resource type or ``*``, a blank, and one of ``previous`` (the
        version before), ``compartments``, ``sets`` (the Groups and Lists it is in), ``firehose``,
        ``filter:ID``, ``chain:patient.general-practitioner`` or another need of :mod:`fhirsub.fhir.criteria.keys`
    """

    def __init__(self, names: Iterable[str] = ()):
        by_type: dict[str, set[str]] = defaultdict(set)
        for name in names:
            kind, _, what = name.partition(" ")
            by_type[kind].add(what)
        everywhere = frozenset(by_type.pop(ANY, ()))
        self._everywhere = everywhere
        self._by_type = {kind: frozenset(asked | everywhere) for kind, asked in by_type.items()}

    def of(self, resource_type: str) -> frozenset[str]:
        """What is asked about resources of this type: ``{"previous", "sets", …}``."""
        return self._by_type.get(resource_type, self._everywhere)
