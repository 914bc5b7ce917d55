"""A decision as somebody types it into a form: read by the API's own rules, and shown again with what is wrong with it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flask import request
from marshmallow import ValidationError

from core import clock
from core.errors import BadRequest
from core.findings.schemas import DecisionSchema
from core.findings.state import VerdictKind
from core.findings.terms import day_of, end_of
from core.findings.verdicts import Decision
from web.forms import sentences

REOPEN = "reopen"
_LONGEST_DATE = len("2026-05-12")


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form.

    :ivar until: as a browser's date field has it, ``2026-05-12``.
    :ivar faults: sentences by field; those under ``form`` belong to none.
    """

    verdict: str = str(VerdictKind.ACCEPTED)
    reason: str = ""
    until: str = ""
    faults: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def sent(cls) -> "Typed":
        """What this request's form has. A date that stays in the form when another verdict is chosen is hidden, and means nothing."""
        verdict = request.form.get("verdict", "")
        until = request.form.get("until", "") if verdict == VerdictKind.ACCEPTED else ""
        return cls(verdict, request.form.get("reason", "").replace("\r\n", "\n").strip(), until[:_LONGEST_DATE])

    @property
    def is_reopening(self) -> bool:
        return self.verdict == REOPEN

    def decision(self) -> Decision:
        """:raises BadRequest: with the faults by field."""
        try:
            given = DecisionSchema().load({"verdict": self.verdict, "reason": self.reason, "until": self.until or None})
            decision = Decision(VerdictKind(given["verdict"]), given["reason"], given["until"])
        except ValidationError as problem:
            raise BadRequest("The verdict is not valid", details=problem.normalized_messages()) from problem
        except ValueError as problem:  # reopen, where only a verdict will do
            raise BadRequest("The verdict is not valid", details={"verdict": ["Choose what you decide."]}) from problem
        decision.check()
        return decision

    def refused(self, problem: BadRequest) -> "Typed":
        """The same with what is wrong with it."""
        faults = problem.details if isinstance(problem.details, Mapping) else {}
        told = {name: sentences(messages) for name, messages in faults.items() if name in ("verdict", "reason", "until", "scope")}
        return replace(self, faults=told or {"form": sentences(list(faults.values())) or (problem.message,)})


def tomorrow() -> str:
    """The first day that an acceptance may sensibly end on, as a date field takes it."""
    return (clock.iso(end_of(day_of(clock.now()) + 1)) or "")[:_LONGEST_DATE]

