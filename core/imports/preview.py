"""What an import would do, told from inside its rehearsal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import peewee

from core.assets.models import Asset
from core.connections.brake import Plan
from core.connections.models import Run, RunChange
from core.findings.models import Finding, FindingEvent
from core.findings.state import Status

MOST_NAMED = 100


@dataclass(frozen=True, slots=True)
class Named:
    """A finding that an import would do something to, with the name of its asset."""

    finding: Finding
    asset: str
    is_new: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """Everything that an import would do one thing to: how many, and the most severe hundred."""

    count: int
    first: list[Named]


@dataclass(frozen=True, slots=True)
class Preview:
    """What an import would do.

    :ivar counts: as a run counts; ``unchanged`` among them.
    :ivar is_held: whether the brake would hold it, so that a person had to approve the closings.
    """

    counts: Mapping[str, int]
    opens: Part
    closes: Part
    reopens: Part
    changes: Part
    is_held: bool
    plan: Mapping[str, Any]


def looked_at(run: Run, counts: Mapping[str, int], plan: Plan, brake_share: float) -> Preview:
    """Tell what the rehearsed run did to the rows, while they are there to be seen."""
    mine = Finding.select().where(Finding.customer_id == run.customer_id)
    noted = RunChange.select(RunChange.finding_id).where(RunChange.run == run.id, RunChange.finding_id.is_null(False))
    reopened, closed = _with_event(run, "reopened"), _with_event(run, "closed")
    touched = (Finding.last_run_id == run.id) & (Finding.first_run_id != run.id)
    return Preview(
        counts=dict(counts),
        opens=_part(run, mine.where(Finding.first_run_id == run.id, Finding.status == Status.OPEN)),
        closes=_part(run, mine.where(Finding.id.in_(noted) | Finding.id.in_(closed))),
        reopens=_part(run, mine.where(Finding.id.in_(reopened))),
        changes=_part(run, mine.where(touched, Finding.id.not_in(reopened), Finding.id.not_in(closed))),
        is_held=plan.is_held(brake_share),
        plan=plan.told(),
    )


def _with_event(run: Run, kind: str) -> peewee.ModelSelect:
    return FindingEvent.select(FindingEvent.finding_id).where(FindingEvent.customer_id == run.customer_id, FindingEvent.run_id == run.id,
                                                              FindingEvent.kind == kind)


def _part(run: Run, query: peewee.ModelSelect) -> Part:
    first = list(query.order_by(Finding.severity.desc(), Finding.id).limit(MOST_NAMED))
    names = dict(Asset.select(Asset.id, Asset.name).where(Asset.id.in_(sorted({finding.asset_id for finding in first}))).tuples())
    changes = _changes(run, [finding.id for finding in first])
    return Part(query.count(), [Named(finding, names.get(finding.asset_id, ""), finding.first_run_id == run.id,
                                      changes.get(finding.id, {})) for finding in first])


def _changes(run: Run, ids: list[int]) -> dict[int, Mapping[str, Any]]:
    """What the history would tell: ``{"severity": [1, 4]}``."""
    events = FindingEvent.select().where(FindingEvent.customer_id == run.customer_id, FindingEvent.run_id == run.id,
                                         FindingEvent.finding_id.in_(ids))
    return {event.finding_id: event.details for event in events}
