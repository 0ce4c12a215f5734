"""OperationOutcome: what went wrong, as a resource.

Spec: https://hl7.org/fhir/R4/operationoutcome.html
"""
from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import FHIRSubError, Issue


def outcome(issues: Iterable[Issue]) -> dict[str, Any]:
    """``{"resourceType": "OperationOutcome", "issue": [{"severity": str, "code": str, "diagnostics": str, …}]}``."""
    return {"resourceType": "OperationOutcome", "issue": [_row(issue) for issue in issues]}


def outcome_of(error: FHIRSubError) -> dict[str, Any]:
    """The OperationOutcome of a refused request."""
    return outcome(error.issues)


def _row(issue: Issue) -> dict[str, Any]:
    row: dict[str, Any] = {"severity": issue.severity, "code": issue.code}
    # An empty string is not allowed in FHIR, so an absent text is left out.
    if issue.diagnostics:
        row["diagnostics"] = issue.diagnostics
    if issue.expression:
        row["expression"] = [issue.expression]
    return row
