"""Which streams a resource matches: an SQL lookup of its keys, then a test of the few candidates.

Nothing here grows with the number of subscriptions, and no process keeps a copy that could be stale: the index is the
table ``stream_key``. What is kept is a bounded number of compiled questions, which never change once numbered.
"""
from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict

from sqlalchemy import select

from ..fhir.criteria import parse, probe_keys
from ..store.sets import within
from ..store.tables import stream, stream_key

log = logging.getLogger(__name__)

MAX_COMPILED = 20_000  # about 2 kB each


class Index:
    """Finds the streams that changed resources match."""

    def __init__(self, max_compiled=MAX_COMPILED):
        self._max_compiled = max_compiled
        self._compiled = OrderedDict()

    def match(self, tx, batch):
        """Test a batch of resources against every stream, with one index query.

        :param batch: list of ``(change_seq, SearchValues)``
        :returns: ``(matches, failures)``: lists of ``(stream_id, change_seq)``, in the order of the batch;
            failures are the pairs whose test raised
        """
        keys = [(seq, values, probe_keys(values)) for seq, values in batch]
        filed = self._filed(tx, set().union(*(probes for _, _, probes in keys)))
        self._compile(tx, {stream_id for ids in filed.values() for stream_id in ids})
        matches, failures = [], []
        for seq, values, probes in keys:
            for stream_id in sorted(set().union(*(filed.get(key, ()) for key in probes))):
                try:
                    if self._compiled[stream_id].test(values):
                        matches.append((stream_id, seq))
                except Exception:  # one broken question never stops the matcher or another's notification
                    log.exception("stream %s could not be tested on change %s", stream_id, seq)
                    failures.append((stream_id, seq))
        self._forget()
        return matches, failures

    def _filed(self, tx, keys):
        filed = defaultdict(list)
        for key, stream_id in tx.execute(_FILED, {"keys": keys}):
            filed[key].append(stream_id)
        return filed

    def _compile(self, tx, stream_ids):
        for stream_id in stream_ids & self._compiled.keys():
            self._compiled.move_to_end(stream_id)
        missing = stream_ids - self._compiled.keys()
        if missing:
            for stream_id, question in tx.execute(_QUESTIONS, {"ids": missing}):
                self._compiled[stream_id] = parse(question)

    def _forget(self):
        while len(self._compiled) > self._max_compiled:
            self._compiled.popitem(last=False)


_FILED = select(stream_key.c.key, stream_key.c.stream_id).where(within(stream_key.c.key, "keys"))
_QUESTIONS = select(stream.c.id, stream.c.question).where(within(stream.c.id, "ids"))
