"""Finding events: newest first, narrowed, a numbered page at a time."""

from collections.abc import Collection
from dataclasses import dataclass, replace

import peewee
from peewee import fn

from core.audit.models import AuditAnchor, AuditEvent, AuditHead


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events; None does not narrow.

    :ivar customers: only of these; None for all, with what belongs to no customer.
    :ivar without: not of these.
    :ivar action: as it is written, or the beginning of several: ``credential.*``.
    :ivar since: from this moment on.
    :ivar until: before this moment.
    """

    customers: Collection[str] | None = None
    without: Collection[str] = ()
    action: str | None = None
    actor: str | None = None
    target: str | None = None
    since: int | None = None
    until: int | None = None

    def of(self, customers: Collection[str] | None, without: Collection[str] = ()) -> "Filter":
        return replace(self, customers=customers, without=without)

    @property
    def is_of_whole_chains(self) -> bool:
        return (self.action, self.actor, self.target, self.since, self.until) == (None,) * 5


def page(wanted: Filter, number: int, size: int) -> tuple[list[AuditEvent], int]:
    """The events of a page, counted from 1, newest first, and how many there are on all pages."""
    rows = _narrowed(AuditEvent.select(), wanted).order_by(*_newest_first(wanted)).paginate(number, size)
    total = _length_of_chains(wanted) if wanted.is_of_whole_chains else _narrowed(AuditEvent.select(), wanted).count()
    return list(rows), total


def _newest_first(wanted: Filter) -> tuple[peewee.Ordering, ...]:
    if wanted.customers is not None and len(wanted.customers) == 1:
        return (AuditEvent.seq.desc(),)  # along the chain's own index
    return (AuditEvent.id.desc(),)


def _narrowed(query: peewee.ModelSelect, wanted: Filter) -> peewee.ModelSelect:
    query = _of_customers(query, AuditEvent.chain, wanted)
    if wanted.action is not None:
        query = query.where(_is_action(wanted.action))
    for field in ("actor", "target"):
        if (value := getattr(wanted, field)) is not None:
            query = query.where(getattr(AuditEvent, field) == value)
    if wanted.since is not None:
        query = query.where(AuditEvent.at >= wanted.since)
    return query if wanted.until is None else query.where(AuditEvent.at < wanted.until)


def _is_action(wanted: str) -> peewee.Expression:
    if not wanted.endswith(".*"):
        return AuditEvent.action == wanted
    beginning = wanted.removesuffix("*")
    return fn.SUBSTR(AuditEvent.action, 1, len(beginning)) == beginning  # LIKE would read _ and % in it, and take either case


def _of_customers(query: peewee.ModelSelect, chain: peewee.Field, wanted: Filter) -> peewee.ModelSelect:
    if wanted.customers is not None:
        query = query.where(chain.in_(list(wanted.customers)))
    return query.where(chain.not_in(list(wanted.without))) if wanted.without else query


def _length_of_chains(wanted: Filter) -> int:
    """Events by what the chains tell of themselves: to count rows would take as long as there are."""
    length = (AuditHead.select(fn.SUM(AuditHead.seq - fn.COALESCE(AuditAnchor.base_seq, 0)))
              .join(AuditAnchor, peewee.JOIN.LEFT_OUTER, on=(AuditAnchor.chain == AuditHead.chain)))
    return int(_of_customers(length, AuditHead.chain, wanted).scalar() or 0)
