"""Errors inside a Bundle say which entry they are about."""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from ..errors import FHIRSubError, Issue
from .request import Request


@contextmanager
def named(request: Request) -> Iterator[None]:
    """Put the entry of ``request`` in front of any error raised inside; an HTTP request needs no name.

    ``Patient.name[0]`` becomes ``Bundle.entry[2].resource.name[0]``.
    """
    try:
        yield
    except FHIRSubError as error:
        if not request.where:
            raise
        raise type(error)(issues=[_named(issue, request) for issue in error.issues]) from error


def _named(issue: Issue, request: Request) -> Issue:
    expression = request.where
    if issue.expression:
        expression += ".resource" + issue.expression[len(issue.expression.partition(".")[0]):]
    return replace(issue, diagnostics=f"{request.where} ({request.method} {request.path}): {issue.diagnostics}",
                   expression=expression)
