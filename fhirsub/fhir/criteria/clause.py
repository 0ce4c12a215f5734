"""One parameter as it is asked: what every kind of value needs to know to be read.

Spec: https://hl7.org/fhir/R4/search.html#modifiers
"""
from __future__ import annotations

from typing import NamedTuple

from ..definitions.parameters import SearchParameter
from ..fhirpath import plain
from ..fhirpath.syntax import NotPlain


class Clause(NamedTuple):
    """The left side of ``subject:Patient=23``."""

    resource_type: str
    parameter: SearchParameter
    modifier: str | None = None
    base_url: str = ""

    def element_types(self) -> set[str]:
        """The datatypes that the parameter looks at; empty if that cannot be told beforehand."""
        try:
            kinds = plain.types(self.parameter.expression, self.resource_type)
        except NotPlain:
            return set()
        return {kind.partition(":")[0] for kind in kinds}
