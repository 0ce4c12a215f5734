"""Criteria tried on one resource, without a server: ``fhirsub.matches(criteria, resource)``.

Spec: https://hl7.org/fhir/R4/subscription.html, https://hl7.org/fhir/R4/search.html
"""
from __future__ import annotations

from .errors import BadRequest, Unprocessable
from .fhir import json
from .fhir.criteria import parse
from .fhir.definitions.structures import RESOURCE_TYPES
from .fhir.search_values import SearchValues, undecidable


def matches(criteria, resource, *, previous=None, base_url=None):
    """Whether a write of ``resource`` notifies a Subscription with these criteria; what a search finds, and no more.

    The resource is taken as it is: what R4 does not know in it is not found, and nothing else is validated.

    :param criteria: ``"Observation?code=http://loinc.org|718-7"``, percent-encoded as in a URL
    :param resource: the version just written: a dict, JSON text or bytes, or an object of fhir.resources
    :param previous: the version before, of the same resource. R4 criteria judge the new version alone, so it does not
        change the answer
    :param base_url: the base of your server, below which absolute references are its own: ``https://example.org/fhir``
    :raises UnsupportedCriteria: no search, or one that a single resource cannot decide; names the parameter and what
        would do
    :raises BadRequest: ``resource`` is no R4 resource
    :raises Unprocessable: ``previous`` is another resource
    """
    question = parse(criteria, base_url or "").bind(undecidable)
    written = read(resource)
    if previous is not None:
        _check_same(written, read(previous))
    return question.test(SearchValues(written, base_url or ""))


def read(resource):
    """A resource as a dict; see :func:`matches` for what it may come as.

    :raises BadRequest: it is not JSON, or no resource of an R4 type
    """
    if isinstance(resource, (str, bytes)):
        resource = json.decode(resource)
    elif hasattr(resource, "model_dump_json"):
        resource = json.decode(resource.model_dump_json(exclude_none=True))
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(kind, str) or kind not in RESOURCE_TYPES:
        raise BadRequest(f"expected a resource with an R4 resourceType; got {kind or type(resource).__name__!r}")
    return resource


def _check_same(written, previous):
    new, old = ((one["resourceType"], one.get("id")) for one in (written, previous))
    if new != old:
        raise Unprocessable(f"previous: expected the version before of {_reference(*new)}; got {_reference(*old)}")


def _reference(kind, id):
    return f"{kind}/{id}" if id else f"{kind} without id"
