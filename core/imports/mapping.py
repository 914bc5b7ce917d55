"""What a mapper raises over a record, told as a fault of the report."""

from collections.abc import Callable
from typing import Any, TypeVar

from core.hooks.failures import ReportInvalid

Draft = TypeVar("Draft")

#: what is raised over a record that lacks a field or holds an impossible value
MALFORMED = (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError)


def mapped(to_draft: Callable[[Any], Draft], record: Any, invalid: Callable[[str], ReportInvalid]) -> Draft:
    """The record, mapped.

    :param invalid: makes the refusal, which knows the record's place.
    :raises ReportInvalid: when the mapper finds a field missing or impossible.
    """
    try:
        return to_draft(record)
    except MALFORMED as problem:
        raise invalid(_told(problem)) from problem


def _told(problem: Exception) -> str:
    if isinstance(problem, KeyError) and problem.args:
        return f"The field {problem.args[0]!r} is missing"
    return f"A field is not as it should be: {problem}"
