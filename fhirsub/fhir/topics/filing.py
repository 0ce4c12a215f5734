"""Where a question is filed in the index, and what must be known of a change to find it there.

Of all that narrows a question the equality counts that the fewest resources are likely to share. A question about
events is filed under each of its topics, together with that equality.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from ..criteria.keys import access, shortened
from . import combination
from .combination import Find
from .needs import ANY
from .topic import FIREHOSE, Topic, known
from .transitions import LEAVE

if TYPE_CHECKING:
    from .question import Question

SETS = ("Group/", "List/")

BEFORE = "-"        # begins a key for the version before
INSIDE = "in "      # begins a key for a compartment, Group or List


class Filing(NamedTuple):
    """One way to file a question.

    :param rank: the lower, the fewer changes share one of the keys; as in :mod:`fhirsub.fhir.criteria.keys`
    :param needs: without the resource type before them
    """

    rank: tuple[float, int]
    keys: tuple[str, ...]
    needs: tuple[str, ...] = ()


def keys(question: Question, find: Find) -> tuple[str, ...]:
    """The keys, one of which :func:`.keys.probe_keys` gives for each change that the question matches."""
    find = known(find)
    filed = _best(question, find).keys
    if question.topics:
        filed = tuple(topic_key(topic.id, key) for topic in _sources(question, find) for key in filed)
    found = set()
    if not question.transitions or question.transitions - _only_before(question):
        found.update(filed)
    if _sees_before(question, find):
        found.update(shortened(BEFORE + key) for key in filed)
    return tuple(sorted(found))


def needs(question: Question, find: Find) -> tuple[str, ...]:
    """What must be known of a change: ``("Encounter previous", "Encounter sets")``."""
    find = known(find)
    asked = list(_best(question, find).needs)
    leaves = combination.leaves(question.topics, find)
    by_filter = any(trigger.looks_back for topic in leaves if topic.is_filter for trigger in topic.triggers)
    if question.transitions or by_filter or _sees_before(question, find):
        asked.append("previous")
    if FIREHOSE in leaves:
        asked += ["firehose", "previous"]   # of a delete; other topics ask for it themselves
    return tuple(sorted({f"{kind} {what}" for kind in types(question, find) for what in asked}))


def types(question: Question, find: Find) -> frozenset[str]:
    """The resource types that it is about, ``*`` if that may be any."""
    if question.criteria is not None:
        return frozenset((question.criteria.type,))
    found = frozenset().union(*(topic.types(find) for topic in _sources(question, find)))
    return frozenset((ANY,)) if ANY in found or not found else found


def topic_key(topic_id: str, key: str) -> str:
    """The key of a topic's questions that are filed under ``key`` besides; under the topic alone if it is empty."""
    return shortened(f"{topic_id} {key}") if key else topic_id


def filter_key(filter_id: str, name: str, value: str) -> str:
    """The key of the value that a filter compares with its parameter ``name``."""
    return f"%{filter_id} {name}={value}"


def _best(question: Question, find: Find) -> Filing:
    return min((*_by_criteria(question), *_by_compartment(question), *_by_filter(question, find)),
               default=Filing((9, 0), ("",)))


def _by_criteria(question: Question) -> Iterator[Filing]:
    if question.criteria is not None:
        found = access(question.criteria.predicates)
        if found is None:
            yield Filing((8, 0), question.criteria.keys())
        else:
            yield Filing(found.rank, question.criteria.keys(), found.needs)


def _by_compartment(question: Question) -> Iterator[Filing]:
    if question.compartments:
        in_sets = any(one.startswith(SETS) for one in question.compartments)
        yield Filing((4.2 if in_sets else 1.5, len(question.compartments)),
                     tuple(shortened(INSIDE + one) for one in sorted(question.compartments)),
                     ("compartments", "sets") if in_sets else ("compartments",))


def _by_filter(question: Question, find: Find) -> Iterator[Filing]:
    """An equality between a parameter and the resource, in a filter that nothing is added behind."""
    parameters = dict(question.parameters)
    for step in reversed(question.topics):
        if step.operator == "union":
            return
        topic = find(step.reference)
        if step.operator != "filter" or topic is None or not topic.is_filter:
            continue
        for name in sorted(topic.parameters):
            if isinstance(parameters.get(name), str) and topic.equality(name) is not None:
                key = shortened(filter_key(topic.id, name, parameters[name]))
                yield Filing((1.7, 1), (key,), (f"filter:{topic.id}",))


def _sources(question: Question, find: Find) -> list[Topic]:
    """The topics without one of which there is no event."""
    found = [find(step.reference) for step in question.topics if step.operator == "union"]
    return [topic for topic in found if topic is not None]


def _sees_before(question: Question, find: Find) -> bool:
    """Whether a match may be found by the version before alone."""
    if question.transitions or not question.topics:
        return bool(question.transitions & _only_before(question))
    return any(LEAVE in topic.transitions for topic in combination.leaves(question.topics, find))


def _only_before(question: Question) -> set[str]:
    """The transitions that are found by the version before; topics are asked about deletes by what was deleted."""
    return {"leave"} if question.topics else {"leave", "delete"}
