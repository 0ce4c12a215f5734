"""What is known of a batch of changes before questions are asked: only what some topic or stream in use asks for."""
from __future__ import annotations

from collections import defaultdict

from sqlalchemy import null, select, union_all

from ..fhir.references import relative
from ..fhir.search_values import SearchValues
from ..fhir.topics import Needs, Written
from ..store import changes
from ..store.sets import within
from ..store.tables import need, topic, topic_key
from .surroundings import Surroundings

REPLACING = ("update", "delete")


def gather(tx, run, topics, *, base_url, needs=None, expansions=None,
           enough=lambda: False):
    """Changes between which no Subscription or EventDefinition changed, with the topics that they fired.

    Where no topic and no need is in use, this costs one query.

    :param run: list of :class:`~fhirsub.store.changes.Change`
    :param topics: :class:`.Topics`
    :param base_url: of this server, for changes that say none
    :param needs: what a question asks for that is in no index; without it, what the streams in the index ask for
    :param expansions: the value sets that earlier batches expanded; the caller keeps it
    :param enough: ``enough()`` is asked after each change; once it is true, those behind are left out
    :returns: list of :class:`~fhirsub.fhir.topics.Written`
    """
    around, find = Surroundings(tx, expansions), topics.finder(tx)
    batch = [_written(change, base_url, around, find) for change in run]
    listening, in_use = _in_use(tx, batch, topics)
    for written in batch:
        written.needs = (needs or in_use).of(written.type)
    _add_previous(tx, batch, listening, base_url, around.expand)
    around.expect(target for written in batch for target in _chained(written))
    around.expect_sets(inside for written in batch if "sets" in written.needs for inside in written.compartments())
    for count, written in enumerate(batch, 1):
        for fired, error in written.fire(_trying(written, listening)):
            topics.count_failure(fired, error)
        if enough():
            return batch[:count]
    return batch


def _written(change, base_url, around, find):
    base_url = change.base_url or base_url
    current, previous = (one and SearchValues(one, base_url, around.expand)
                         for one in (change.resource, change.previous))

    def resolve(reference):
        return around.resolve(relative(reference, base_url))

    return Written(change.seq, change.type, change.id, change.interaction, current=current, previous=previous,
                   topic_id=change.topic_id, resolve=resolve, sets=around.sets, find=find)


def _in_use(tx, batch, topics):
    """``{key: topics filed under it}`` and the needs of streams, for the changes of a batch."""
    rows = tx.execute(_IN_USE, {"keys": {key for written in batch for key in written.topic_keys()},
                                "types": {"*", *(written.type for written in batch)}}).all()
    loaded = topics.load(tx, {(row.topic_id, row.version_id) for row in rows if row.topic_id is not None})
    listening = defaultdict(list)
    for row in rows:
        if row.topic_id in loaded:
            listening[row.name].append(loaded[row.topic_id])
    return listening, Needs(row.name for row in rows if row.topic_id is None)


def _chained(written):
    """References of the first link of each chain in use; what is behind further links is looked up one by one."""
    for kind, _, path in (need.partition(":") for need in written.needs):
        if kind.partition("+")[0] == "chain" and written.current is not None:
            code = path.partition(".")[0].partition(":")[0]
            yield from (value.target for value in written.current[code])


def _trying(written, listening):
    return {topic.id: topic for key in written.topic_keys() for topic in listening.get(key, ())}.values()


def _add_previous(tx, batch, listening, base_url, expand):
    looking_back = {key for key, tried in listening.items() if any(topic.sees_previous for topic in tried)}
    asking = {written.seq: written for written in batch if written.interaction in REPLACING and written.previous is None
              and ("previous" in written.needs or not looking_back.isdisjoint(written.topic_keys()))}
    if asking:
        for seq, (resource, base) in changes.previous(tx, asking.keys()).items():
            asking[seq].previous = SearchValues(resource, base or base_url, expand)


_IN_USE = union_all(
    select(topic_key.c.key.label("name"), topic.c.id.label("topic_id"), topic.c.version_id).join(
        topic, topic.c.id == topic_key.c.topic_id).where(within(topic_key.c.key, "keys")),
    select(need.c.type + " " + need.c.name, null(), null()).where(within(need.c.type, "types")))
