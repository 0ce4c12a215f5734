"""Probe keys: where a change looks for the questions that it may match.

Those of plain R4 criteria are what :mod:`fhirsub.fhir.criteria.keys` says; more is probed only where somebody asks.
"""
from __future__ import annotations

from collections.abc import Iterator

from ...errors import ExpressionFailed
from .. import criteria
from ..criteria.keys import needed_keys, shortened
from .filing import BEFORE, INSIDE, filter_key, topic_key
from .topic import FIREHOSE, state
from .written import WRITES, Written


def probe_keys(written: Written) -> set[str]:
    """Every key under which a question that this change may match is filed; call :meth:`.Written.fire` first."""
    topics = _topics(written)
    now = _of_version(written, bool(topics), before=False)
    if not written.needs and not topics:
        return now if written.interaction in WRITES else set()
    looks_back = "previous" in written.needs
    before = _of_version(written, bool(topics), before=True) if looks_back or written.current is None else set()
    found = set(now) if written.interaction in WRITES else set()
    for topic_id in topics:
        found.add(topic_id)
        found.update(topic_key(topic_id, key) for key in (before if written.current is None else now))
        if looks_back:
            before.update([topic_key(topic_id, key) for key in before], [topic_id])
    if looks_back:
        found.update(shortened(BEFORE + key) for key in before)
    return found


def _topics(written: Written) -> list[str]:
    """The topics whose questions are asked."""
    found = [*written.fired, *(topic.id for topic in written.composed)]
    if "firehose" in written.needs and written.has_fired(FIREHOSE):
        found.append(FIREHOSE.id)
    return found


def _of_version(written: Written, of_topics: bool, *, before: bool) -> set[str]:
    """What one version says of itself, and of what else is asked for."""
    values = written.previous if before else written.current
    if values is None:
        return set()
    keys = criteria.probe_keys(values)
    for asked in written.needs:
        kind, _, what = asked.partition(":")
        if kind == "filter" and of_topics:
            keys.update(_of_filter(written, what, before))
        elif kind == "compartments":
            keys.update(shortened(INSIDE + one) for one in written.compartments(before=before))
        elif kind == "sets":
            keys.update(shortened(INSIDE + one) for inside in written.compartments(before=before)
                        for one in written.sets(inside))
        else:
            keys |= needed_keys(values, asked)
    return keys


def _of_filter(written: Written, filter_id: str, before: bool) -> Iterator[str]:
    """The values that a filter would compare with its parameters."""
    topic = written.find(f"EventDefinition/{filter_id}")
    for name in topic.parameters if topic is not None else ():
        path = topic.equality(name)
        try:
            found = path.evaluate(state(written, {}, before=before)) if path else ()
        except ExpressionFailed:
            continue    # where the equality cannot be evaluated, the filter lets nothing through
        yield from (shortened(filter_key(filter_id, name, value)) for value in found if isinstance(value, str))
