"""Why a question is met or not by one change: each of its parts with what it asked and what it found, for ``$explain``.

Spec: https://hl7.org/fhir/R4/parameters.html
"""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import ExpressionFailed
from ...fhir.criteria import Criteria, Predicate
from ...fhir.criteria.chains import Chain
from ...fhir.search_values import SearchValues
from ...fhir.search_values.text import text
from ...fhir.topics import Question, Topic, Written, combination
from ...fhir.topics.combination import Step


_NOTHING_BEFORE = ("on a create %previous is empty, and so is each comparison with it; what fires then is "
                   "%previous.where(…).empty()")


def grounds(question: Question, written: Written) -> Iterator[dict[str, Any]]:
    """Parameters ``predicate``, ``compartment`` and ``event``; of a delete about the version that was deleted."""
    values = written.current or written.previous
    if question.criteria and values:
        yield from _predicates(question.criteria, values)
    if question.compartments:
        inside = written.compartments()
        found = sorted(inside.union(*map(written.sets, inside)))
        yield parts("compartment", asked=question.compartments, found=found,
                    match=not set(found).isdisjoint(question.compartments))
    for step in question.topics:
        yield _event(step, question, written)


def _event(step: Step, question: Question, written: Written) -> dict[str, Any]:
    """A reference to an event, whether it fired or, of a filter, held, and what hindered it."""
    topic = written.find(step.reference)
    match, hint = False, ""
    if topic is not None:
        match, hint = _judged(topic, dict(question.parameters), written)
    return parts("event", reference=step.reference, name=topic and topic.name, operator=step.operator, match=match,
                 hint=hint)


def _judged(topic: Topic, parameters: dict[str, Any], written: Written) -> tuple[bool, str]:
    try:
        if topic.is_filter:
            match = written.holds(topic, parameters)
        else:
            match = combination.source(topic, written, parameters) is not None
    except ExpressionFailed as error:
        return False, str(error)
    if match:
        return True, ""
    looks_back = written.interaction == "create" and any(one.looks_back for one in topic.triggers)
    return False, written.failed.get(topic.id, _NOTHING_BEFORE if looks_back else "")


def _predicates(criteria: Criteria, values: SearchValues) -> Iterator[dict[str, Any]]:
    yield parts("predicate", parameter="type", asked=[criteria.type], found=[values.type],
                match=criteria.type == values.type)
    if criteria.type == values.type:
        for predicate in criteria.predicates:
            yield _predicate(predicate, values)


def _predicate(predicate: Predicate | Chain, values: SearchValues) -> dict[str, Any]:
    steps, last = [], predicate
    while isinstance(last, Chain):
        steps.append(f"{last.step}.")
        last = last.ends[0].predicates[0]
    return parts("predicate", parameter="".join([*steps, last.parameter.code]), modifier=last.modifier,
                 asked=last.asked(), found=map(text, _found(predicate, values)), match=predicate.test(values))


def _found(predicate: Predicate | Chain, values: SearchValues) -> Iterable[Any]:
    """The values that a predicate is about; of a chain those at its end, as the resources there are now."""
    if not isinstance(predicate, Chain):
        return predicate.found(values)
    return [found for linked in values.linked(predicate.parameter.code)
            for end in predicate.ends if end.type == linked.type
            for inner in end.predicates for found in _found(inner, linked)]


def parts(name: str, /, **given: Any) -> dict[str, Any]:
    """A parameter with a part for each value given; a list gives several of one name, None and "" give none."""
    made = []
    for part, value in given.items():
        several = [value] if value is None or isinstance(value, (str, bool, int)) else value
        made += [{"name": part, _kind(one): one} for one in several if one not in (None, "")]
    return {"name": name, "part": made}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "valueBoolean"
    return "valueUnsignedInt" if isinstance(value, int) else "valueString"
