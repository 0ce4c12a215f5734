"""Which streams a change matches: an SQL lookup of its keys, then a test of the few candidates.

Nothing here grows with the number of subscriptions, and no process keeps a copy that could be stale: the index is the
table ``stream_key``. What is kept is a bounded number of compiled questions, which never change once numbered.
"""
from __future__ import annotations

import logging
from collections import OrderedDict, defaultdict
from typing import NamedTuple

from sqlalchemy import select

from ..errors import FHIRSubError
from ..fhir.topics import probe_keys, question
from ..store.sets import within
from ..store.tables import stream, stream_key

log = logging.getLogger(__name__)

MAX_COMPILED = 20_000  # about 2 kB each


class Found(NamedTuple):
    """That a change is an event of a stream.

    :param transition: ``enter`` | ``update`` | ``leave`` | ``delete``; None: the stream does not tell them apart
    :param topics: ids of the EventDefinitions that fired
    """

    stream_id: int
    change_seq: int
    transition: str | None = None
    topics: tuple[str, ...] = ()


class Failure(NamedTuple):
    """That a stream could not be tested on a change.

    :param reason: for the owners of its Subscriptions, without what a resource holds
    """

    stream_id: int
    change_seq: int
    reason: str = "the criteria could not be evaluated on a resource"


class Index:
    """Finds the streams that changes match."""

    def __init__(self, max_compiled=MAX_COMPILED):
        self._max_compiled = max_compiled
        self._compiled = OrderedDict()

    def match(self, tx, batch):
        """Test a batch of changes against every stream, with one index query.

        :param batch: list of :class:`~fhirsub.fhir.topics.Written`, as :func:`.gather` makes them
        :returns: ``(matches, failures)``: lists of :class:`Found` and :class:`Failure`, in the order of the batch
        """
        keys = [(written, probe_keys(written)) for written in batch]
        filed = self._filed(tx, set().union(*(probes for _, probes in keys)))
        self._compile(tx, {stream_id for ids in filed.values() for stream_id in ids})
        matches, failures = [], []
        for written, probes in keys:
            for stream_id in sorted(set().union(*(filed.get(key, ()) for key in probes))):
                try:
                    match = self._compiled[stream_id].test(written)
                    if match is not None:
                        matches.append(Found(stream_id, written.seq, *match))
                except FHIRSubError as error:
                    log.warning("stream %s could not be tested on change %s: %s", stream_id, written.seq, error)
                    failures.append(Failure(stream_id, written.seq, str(error)))
                except Exception:  # one broken question never stops the matcher or another's notification
                    log.exception("stream %s could not be tested on change %s", stream_id, written.seq)
                    failures.append(Failure(stream_id, written.seq))
        self._forget()
        return matches, failures

    def _filed(self, tx, keys):
        filed = defaultdict(list)
        for key, stream_id in tx.execute(_FILED, {"keys": keys}).all():
            filed[key].append(stream_id)
        return filed

    def _compile(self, tx, stream_ids):
        for stream_id in stream_ids & self._compiled.keys():
            self._compiled.move_to_end(stream_id)
        missing = stream_ids - self._compiled.keys()
        if missing:
            for stream_id, text in tx.execute(_QUESTIONS, {"ids": missing}):
                self._compiled[stream_id] = question.read(text)

    def _forget(self):
        while len(self._compiled) > self._max_compiled:
            self._compiled.popitem(last=False)


_FILED = select(stream_key.c.key, stream_key.c.stream_id).where(within(stream_key.c.key, "keys"))
_QUESTIONS = select(stream.c.id, stream.c.question).where(within(stream.c.id, "ids"))
