"""From a Subscription to the :class:`~.question.Question` that it asks.

Spec: https://hl7.org/fhir/R4/subscription.html; the extensions stand in :mod:`fhirsub.fhir.extensions`
"""
from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from ...errors import FHIRSubError, Unprocessable
from ..criteria import Criteria, parse
from ..definitions.compartments import COMPARTMENTS, members
from ..extensions import COMPARTMENT, PARAMETER
from ..references import relative
from . import combination, filing, transitions
from .combination import Find, Step
from .needs import ANY
from .question import Question
from .topic import known

_INSIDE = re.compile(rf"({'|'.join(COMPARTMENTS)}|Group|List)/[A-Za-z0-9\-.]{{1,64}}")
# Before a transaction has put in what it stands for.
_PENDING = "urn:uuid:"
_VALUES = ("valueString", "valueCode", "valueUri", "valueUrl", "valueCanonical", "valueId", "valueBoolean",
           "valueInteger", "valueDecimal", "valueDate", "valueDateTime", "valueInstant")


def of_subscription(resource: dict, base_url: str, find: Find) -> Question:
    """The question that a Subscription asks.

    :param find: ``find(reference)``: the topic called by ``EventDefinition/ID``, canonical or name; None if none is
    :raises Unprocessable: names the element, what was found and what would do
    """
    return settled(asked(resource, base_url), resource, find)


def asked(resource: dict, base_url: str = "") -> Question:
    """The question as far as the Subscription alone says it; what it calls the topics is not looked up.

    :raises Unprocessable: names the element, what was found and what would do
    """
    criteria, compartments = _criteria(resource, base_url)
    return Question(criteria, combination.read(resource, base_url),
                    tuple(sorted({*compartments, *_compartments(resource, base_url)})),
                    tuple(sorted(_parameters(resource, base_url).items())), transitions.read(resource))


def settled(question: Question, resource: dict, find: Find) -> Question:
    """The question with its topics by their ids.

    :param resource: the Subscription that asks it
    :raises Unprocessable: the topics cannot be combined so, or do not go with the rest of the question
    """
    find = known(find)
    for reference in question.compartments:
        if reference.startswith(_PENDING):
            _refuse_compartment("Subscription.extension", reference)
    combination.check(question.topics, [where for where, _ in combination.places(resource)], find)
    steps = [(step, find(step.reference)) for step in question.topics]
    topics = tuple(Step(combination.reference(topic.id), step.operates(topic)) for step, topic in steps)
    _check_parameters(question, combination.leaves(question.topics, find))
    question = replace(question, topics=topics)
    if topics:
        _check_types(question, find)
        _check_transitions(question, [topic for _, topic in steps], find)
    return question


def _criteria(resource: dict, base_url: str) -> tuple[Criteria | None, tuple[str, ...]]:
    """``Encounter?status=planned``, or the compartment ``Patient/abc``."""
    text = resource["criteria"].strip()
    inside = relative(text, base_url).removeprefix("/")
    if _INSIDE.fullmatch(inside):
        return None, (inside,)
    try:
        return parse(text, base_url, chains=True), ()
    except FHIRSubError as error:
        raise Unprocessable(f"Subscription.criteria: {error}", expression="Subscription.criteria",
                            code=error.issues[0].code) from None


def _compartments(resource: dict, base_url: str) -> list[str]:
    found = []
    for where, extension in _extensions(resource, COMPARTMENT):
        reference = relative(extension.get("valueReference", {}).get("reference", ""), base_url)
        if not _INSIDE.fullmatch(reference) and not reference.startswith(_PENDING):
            _refuse_compartment(f"{where}.valueReference", reference)
        found.append(reference)
    return found


def _refuse_compartment(where: str, reference: str) -> None:
    _refuse(where, f"expected a reference to a {', '.join(COMPARTMENTS)}, Group or List; got {reference!r}")


def _parameters(resource: dict, base_url: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for where, extension in _extensions(resource, PARAMETER):
        parts = {part.get("url"): part for part in extension.get("extension", ())}
        name = parts.get("name", {}).get("valueString")
        value = _value(parts.get("value", {}), base_url)
        if not name or value is None or parts.keys() != {"name", "value"}:
            _refuse(where, 'expected two extensions inside: "name" with a valueString, and "value" with one of '
                           f"{', '.join(_VALUES)} or valueReference")
        if name in found:
            _refuse(where, f"the parameter {name!r} has a value already")
        found[name] = value
    return found


def _value(part: dict, base_url: str) -> Any:
    if "valueReference" in part:
        reference = part["valueReference"].get("reference")
        return reference and relative(reference, base_url)
    return next((part[name] for name in _VALUES if name in part), None)


def _extensions(resource: dict, url: str) -> list[tuple[str, dict]]:
    return [(f"Subscription.extension[{index}]", one) for index, one in enumerate(resource.get("extension", ()))
            if one.get("url") == url]


def _check_parameters(question: Question, leaves: Any) -> None:
    taken = {name: topic for topic in leaves for name in topic.parameters}
    given = dict(question.parameters)
    for name in sorted(taken.keys() - given.keys()):
        _refuse("Subscription.extension", f"the filter EventDefinition/{taken[name].id} needs a value for its "
                                          f"parameter {name!r}, by the extension {PARAMETER}")
    for name in sorted(given.keys() - taken.keys()):
        _refuse("Subscription.extension", f"no filter takes the parameter {name!r}; they take "
                                          f"{', '.join(sorted(taken)) or 'none'}")


def _check_types(question: Question, find: Find) -> None:
    """Criteria or a compartment that none of the topics can ever be about would never match."""
    kinds = filing.types(replace(question, criteria=None), find)
    if ANY in kinds:
        return
    named = ", ".join(sorted(kinds))
    if question.criteria is not None and question.criteria.type not in kinds:
        _refuse("Subscription.criteria", f"the events are about {named}, never about {question.criteria.type}")
    possible = [one for one in question.compartments if one.startswith(filing.SETS)
                or kinds & {*members(one.partition("/")[0]), one.partition("/")[0]}]
    if question.compartments and not possible:
        _refuse("Subscription.criteria", f"the events are about {named}, never in {question.compartments[0]}")
    for step, topic in ((step, find(step.reference)) for step in question.topics if step.operator == "filter"):
        if topic.types(find).isdisjoint({*kinds, ANY}):
            about = ", ".join(sorted(topic.types(find)))
            _refuse("Subscription.extension", f"{step.reference} lets nothing through: it is about {about}, and the "
                                              f"events are about {named}")


def _check_transitions(question: Question, topics: list, find: Find) -> None:
    writes = {key.partition(" ")[2] for topic in topics if not topic.is_filter for key in topic.keys(find)}
    if question.transitions and not writes & {"create", "update", "delete"}:
        _refuse("Subscription.extension", "transitions are told of writes, and these events are none; leave them out")


def _refuse(where: str, told: str) -> None:
    raise Unprocessable(f"{where}: {told}", expression=where)
