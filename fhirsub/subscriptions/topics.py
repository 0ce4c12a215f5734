"""The topics that are switched on, as compiled EventDefinitions, found by what they go by.

Spec: https://hl7.org/fhir/R4/eventdefinition.html
"""
from __future__ import annotations

import logging
from collections import Counter, OrderedDict

from sqlalchemy import bindparam, select

from ..errors import FHIRSubError
from ..fhir import json
from ..fhir.topics import read
from ..store.search_rows import asked
from ..store.sets import within
from ..store.tables import topic as topic_table, topic_name

log = logging.getLogger(__name__)

MAX_COMPILED = 5_000


class Topics:
    """Reads topics from the database; a bounded number stays compiled, for a version of a definition never changes.

    :ivar failures: by id how often a trigger could not be evaluated in this process
    """

    def __init__(self, max_compiled=MAX_COMPILED):
        self._max_compiled = max_compiled
        self._compiled = OrderedDict()  # {(id, version_id): Topic}
        self._told = {}                 # {id: version_id whose failure was logged}
        self.failures = Counter()

    def finder(self, tx):
        """``find(reference)`` for one place in the log: the topic that goes by it, or None; asks for each name once."""
        found = {}

        def find(reference):
            if reference not in found:
                found[reference] = self._named(tx, reference)
            return found[reference]
        return find

    def load(self, tx, versions):
        """Topics by id.

        :param versions: pairs ``(id, version_id)`` of topics as they stand now
        """
        versions = {tuple(version) for version in versions}
        missing = versions - self._compiled.keys()
        if missing:
            self._compile(tx, {id for id, _ in missing})
        for version in versions & self._compiled.keys():
            self._compiled.move_to_end(version)
        found = {id: self._compiled.get((id, version_id)) for id, version_id in versions}
        while len(self._compiled) > self._max_compiled:
            self._compiled.popitem(last=False)
        return {id: topic for id, topic in found.items() if topic is not None}

    def count_failure(self, topic, error):
        """A trigger could not be evaluated: logged once a version, for every further change may tell the same."""
        self.failures[topic.id] += 1
        if self._told.get(topic.id) != topic.version_id:
            self._told[topic.id] = topic.version_id
            # Only our own errors are known to tell nothing of what a resource holds.
            reason = error if isinstance(error, FHIRSubError) else type(error).__name__
            log.error("a trigger of EventDefinition/%s version %s failed: %s", topic.id, topic.version_id, reason)

    def _named(self, tx, name):
        """A canonical without version means the latest; of equal names the first stays whose it is."""
        rows = tx.execute(_NAMED, {"of": asked(name)}).all()
        loaded = self.load(tx, {(row.id, row.version_id) for row in rows})
        ranked = sorted((row for row in rows if row.id in loaded), key=lambda row: row.since)
        return max((loaded[row.id] for row in ranked), key=lambda topic: topic.version if topic.url == name else "",
                   default=None)

    def _compile(self, tx, ids):
        for row in tx.execute(_CONTENT, {"ids": ids}):
            try:
                compiled = read(json.decode(row.content), row.base_url)
            except FHIRSubError as error:  # switched on by a release that could evaluate it
                log.error("EventDefinition/%s cannot be evaluated: %s", row.id, error)
                compiled = None
            self._compiled[row.id, row.version_id] = compiled


_NAMED = select(topic_table.c.id, topic_table.c.version_id, topic_table.c.since).join(
    topic_name, topic_name.c.topic_id == topic_table.c.id).where(topic_name.c.name == bindparam("of"))
_CONTENT = select(topic_table).where(within(topic_table.c.id, "ids"))
