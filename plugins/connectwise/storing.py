"""Keeping what ConnectWise tells in step: companies and their customers, configurations, and what is gone. A thousand at a time, with a
number of statements that does not depend on how many there are."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import peewee
from peewee import chunked

from core import clock
from core.audit.many import Happening, record_many
from core.db import JsonField, atomic, db, is_postgres
from core.db.bulk import bulk_update, bulk_upsert, rows_by_key
from core.hooks.contracts import HouseRun, Removals
from core.ids import new_id
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from core.tenancy.service import Naming
from plugins.connectwise.mapper import Company, Configuration
from plugins.connectwise.matching import IGNORED, UNLINKED, Candidate, Decision, Matcher
from plugins.connectwise.models import CwCompany, CwConfiguration

BATCH = 1000
DELETED, GONE, LEFT_OUT = "deleted", "gone", "left_out"
_MOST_NAMED = 20
_LOCK_NUMBER = 0x4C494E4B  # "LINK": any number, the same in every process
_COMPANY = ("id", "tenant", "cw_id", "customer_id", "identifier", "identifier_key", "name", "name_key", "data", "digest", "changed_at",
            "fetched_at", "removed_at", "removed_why", "due_run", "due_why", "review", "candidates")
_COMPANY_REWRITTEN = ("identifier", "identifier_key", "name", "name_key", "data", "digest", "changed_at", "fetched_at", "removed_at",
                      "removed_why", "due_run", "due_why")
_CONFIGURATION = ("customer_id", "tenant", "cw_id", "company_cw_id", "name", "data", "digest", "changed_at", "fetched_at", "removed_at",
                  "due_run")
_CONFIGURATION_REWRITTEN = _CONFIGURATION[3:]


@contextmanager
def linking() -> Iterator[None]:
    """A transaction in which nobody else says which customers companies are; SQLite's are one at a time already. Begin it before anything
    else of the transaction is read or written."""
    with atomic():
        if is_postgres():
            db.execute_sql("SELECT pg_advisory_xact_lock(%s)", (_LOCK_NUMBER,))
        yield


@dataclass(slots=True)
class Store:
    """What is kept of one ConnectWise.

    :ivar tenant: the login name of its company, lower case.
    :ivar actor: how the audit log names who changes it.
    :ivar follows_names: whether customers are renamed with their companies.
    :ivar counts: what was done so far.
    """

    tenant: str
    actor: str
    follows_names: bool
    counts: dict[str, int]

    # -- companies ----------------------------------------------------------------------------------------------------------------

    def write_companies(self, companies: Sequence[Company]) -> None:
        """Insert or refresh these; inside a transaction. A company that was removed and is there again is restored with its customer."""
        by_id = {company.cw_id: company for company in companies}
        said_before = ("cw_id", "id", "digest", "customer_id", "identifier", "name", "name_key", "removed_at", "due_run")
        known = {row[0]: row[1:] for row in rows_by_key(CwCompany, said_before, {"tenant": self.tenant}, "cw_id", list(by_id))}
        now, rows, renamed = clock.now(), [], {}
        for key, company in sorted(by_id.items()):
            row_id, digest, customer_id, identifier, name, name_key, removed_at, due = known.get(key, (None,) * 8)
            if digest == company.digest and removed_at is None and not due:
                self._count("unchanged")
                continue
            self._count("changed" if row_id else "added")
            if customer_id and (identifier, name) != (company.identifier, company.name):
                renamed[customer_id] = (name_key, Naming(company.name, company.identifier))
            rows.append((row_id or new_id("cwc"), self.tenant, key, None, company.identifier, tenancy.folded(company.identifier),
                         company.name, tenancy.folded(company.name), JsonField().db_value(company.data), company.digest,
                         company.changed_at, now, None, "", "", "", "", "[]"))
        bulk_upsert(CwCompany, _COMPANY, rows, conflict=("tenant", "cw_id"), update=_COMPANY_REWRITTEN)
        self._rename(renamed)

    def _rename(self, renamed: Mapping[str, tuple[str, Naming]]) -> None:
        """Have customers follow their companies: the identifier always, the name when it was the company's before and is free.

        :param renamed: the company's name before, folded, and its names now, by customer.
        """
        if not renamed:
            return
        present, wanted = tenancy.names_of(renamed), {}
        for customer_id, naming in present.items():
            before, now = renamed[customer_id]
            follows = self.follows_names and tenancy.folded(naming.name) == before
            wanted[customer_id] = Naming(now.name if follows else naming.name, now.alias)
        taken = tenancy.taken_names([naming.name for naming in wanted.values()])
        for customer_id, naming in wanted.items():
            if taken.setdefault(tenancy.folded(naming.name), customer_id) != customer_id:
                self._count("names_taken")
                wanted[customer_id] = Naming(present[customer_id].name, naming.alias)
        tenancy.rename_many(wanted, actor=self.actor)

    def living(self) -> dict[int, str]:
        """Names of the companies that are not removed, by their ids."""
        query = CwCompany.select(CwCompany.cw_id, CwCompany.name).where(CwCompany.tenant == self.tenant, CwCompany.removed_at.is_null())
        return dict(query.tuples())

    def note_gone(self, run_id: str, reasons: Mapping[int, str]) -> None:
        """Note that these companies are due to be marked as removed; inside a transaction."""
        bulk_update(CwCompany, ("tenant", "cw_id"), [(self.tenant, key, run_id, why) for key, why in sorted(reasons.items())],
                    update=("due_run", "due_why"))

    def confirm(self, moment: int) -> None:
        """Say of all that are there, and not due to be removed, that ConnectWise told of them at this moment."""
        CwCompany.update(fetched_at=moment).where(CwCompany.tenant == self.tenant, CwCompany.removed_at.is_null(),
                                                  CwCompany.due_run == "").execute()

    def confirm_one(self, key: int) -> None:
        """Say of this company that ConnectWise told of it now."""
        CwCompany.update(fetched_at=clock.now()).where(CwCompany.tenant == self.tenant, CwCompany.cw_id == key).execute()

    # -- customers ----------------------------------------------------------------------------------------------------------------

    def match(self, creates: bool, run: HouseRun, only: Sequence[int] | None = None) -> list[int]:
        """Find the customers of companies that have none, or put them on the review list.

        :param only: these companies; None for all.
        :returns: ids of the companies that have got a customer.
        """
        waiting = self._waiting(only)
        of, done, last = waiting.count(), 0, 0
        if not of:
            return []
        matcher, linked = Matcher(self._free_customers(), creates), list[int]()
        while True:
            with linking():
                batch = list(waiting.where(CwCompany.cw_id > last).order_by(CwCompany.cw_id).limit(BATCH))
                if not batch:
                    return linked
                last, done = batch[-1].cw_id, done + len(batch)
                decisions = self._without_taken({row.id: matcher.decide(candidate) for row, candidate in self._candidates(batch)})
                linked += self._carry_out([row for row in batch if row.id in decisions], decisions)
                run.claim(phase="matching", done=done, of_how_many=of)

    def _without_taken(self, decisions: Mapping[str, Decision]) -> dict[str, Decision]:
        """Without those that would give away a customer whom a person has linked to another company since the customers were looked at;
        these companies are decided about again by the next sync."""
        given = sorted({decision.customer_id for decision in decisions.values() if decision.customer_id is not None})
        taken = {customer_id for customer_id, removed_at in
                 rows_by_key(CwCompany, ("customer_id", "removed_at"), {"tenant": self.tenant}, "customer_id", given) if removed_at is None}
        return {key: decision for key, decision in decisions.items() if decision.customer_id not in taken}

    def _waiting(self, only: Sequence[int] | None) -> peewee.ModelSelect:
        query = CwCompany.select(CwCompany.id, CwCompany.cw_id, CwCompany.name, CwCompany.name_key, CwCompany.identifier,
                                 CwCompany.identifier_key, CwCompany.review, CwCompany.candidates).where(
            CwCompany.tenant == self.tenant, CwCompany.customer_id.is_null(), CwCompany.removed_at.is_null(),
            CwCompany.review.not_in([IGNORED, UNLINKED]))
        return query if only is None else query.where(CwCompany.cw_id.in_(list(only)))

    def _free_customers(self) -> dict[str, str]:
        """Customers that are no company of this ConnectWise: the keys of their names by their ids."""
        linked = CwCompany.select(CwCompany.customer_id).where(CwCompany.tenant == self.tenant, CwCompany.customer_id.is_null(False))
        return dict(Customer.select(Customer.id, Customer.name_key).where(Customer.id.not_in(linked)).tuples())

    def _candidates(self, batch: Sequence[CwCompany]) -> Iterator[tuple[CwCompany, Candidate]]:
        holders = tenancy.taken_names([row.name for row in batch])
        called: dict[str, list[tuple[int, str | None]]] = {}  # companies by their names
        for key, cw_id, customer_id, removed_at in rows_by_key(
                CwCompany, ("name_key", "cw_id", "customer_id", "removed_at"), {"tenant": self.tenant}, "name_key",
                sorted({key for row in batch for key in (row.name_key, row.identifier_key)})):
            if removed_at is None:
                called.setdefault(key, []).append((cw_id, customer_id))
        heirs = self._removed_by_identifier(batch)
        for row in batch:
            heir_of, its_name = heirs.get(row.identifier_key, (None, ""))
            yield row, Candidate(
                row.name, row.name_key, row.identifier, row.identifier_key,
                is_named_elsewhere=any(cw_id != row.cw_id for cw_id, _ in called.get(row.identifier_key, ())),
                twins=[customer for cw_id, customer in called.get(row.name_key, ()) if cw_id != row.cw_id],
                holder=holders.get(row.name_key), heir_of=heir_of, heir_by_name=its_name == row.name_key)

    def _removed_by_identifier(self, batch: Sequence[CwCompany]) -> dict[str, tuple[str, str]]:
        """Customer and name of removed companies, by their identifier: one that was made anew upstream has another id."""
        rows = rows_by_key(CwCompany, ("identifier_key", "customer_id", "name_key", "removed_at"), {"tenant": self.tenant},
                           "identifier_key", sorted({row.identifier_key for row in batch}))
        return {identifier: (customer, name) for identifier, customer, name, removed_at in rows if customer and removed_at is not None}

    def _carry_out(self, batch: Sequence[CwCompany], decisions: Mapping[str, Decision]) -> list[int]:
        fresh = [row for row in batch if decisions[row.id].is_new]
        created = tenancy.create_many([Naming(row.name, row.identifier) for row in fresh], actor=self.actor)
        customers = {row.id: customer_id for row, customer_id in zip(fresh, created, strict=True)}
        matched = {row.id: decisions[row.id].customer_id for row in batch if decisions[row.id].customer_id is not None}
        customers |= {key: value for key, value in matched.items() if value is not None}
        self.link({row.id: (row, customers[row.id]) for row in batch if row.id in customers}, "match")
        self._count("created", len(fresh))
        self._count("matched", len(matched))
        doubtful = [(row, decisions[row.id]) for row in batch if decisions[row.id].review]
        self._count("doubtful", len(doubtful))
        bulk_update(CwCompany, ("id",), [(row.id, decision.review, JsonField().db_value(list(decision.candidates)))
                                         for row, decision in doubtful
                                         if (row.review, row.candidates) != (decision.review, list(decision.candidates))],
                    update=("review", "candidates"))
        return [row.cw_id for row in batch if row.id in customers]

    def link(self, linked: Mapping[str, tuple[CwCompany, str]], how: str) -> None:
        """Say which customers companies are; inside a transaction. A customer's link to a company elsewhere, or to a removed one, ends."""
        customers = {customer_id: row for row, customer_id in linked.values()}
        for among in chunked(sorted(customers), BATCH):
            CwCompany.update(customer_id=None).where(CwCompany.customer_id.in_(list(among))).execute()
        bulk_update(CwCompany, ("id",), [(key, customer_id, "", "[]") for key, (_, customer_id) in sorted(linked.items())],
                    update=("customer_id", "review", "candidates"))
        names = tenancy.names_of(customers)
        tenancy.rename_many({key: Naming(names[key].name, customers[key].identifier) for key in names}, actor=self.actor)
        record_many([Happening("company.linked", key, key, {"company": row.cw_id, "identifier": row.identifier, "how": how})
                     for key, row in sorted(customers.items())], actor=self.actor)

    # -- configurations -------------------------------------------------------------------------------------------------------------

    def write_configurations(self, configurations: Sequence[Configuration]) -> None:
        """Insert or refresh those of companies that are customers; inside a transaction. One that moved to another customer leaves
        nothing behind."""
        owners = {key: customer for key, customer in rows_by_key(
            CwCompany, ("cw_id", "customer_id"), {"tenant": self.tenant}, "cw_id",
            sorted({one.company_id for one in configurations if one.company_id is not None})) if customer}
        by_id = {one.cw_id: one for one in configurations if one.company_id in owners}
        elsewhere = [one.cw_id for one in configurations if one.company_id not in owners]
        known = {row[0]: row[1:] for row in rows_by_key(CwConfiguration, ("cw_id", "id", "customer_id", "digest", "removed_at", "due_run"),
                                                        {"tenant": self.tenant}, "cw_id", [*by_id, *elsewhere])}
        moved = [row[0] for key, row in known.items() if key not in by_id or owners[by_id[key].company_id or 0] != row[1]]
        if moved:  # a thousand at most
            CwConfiguration.delete().where(CwConfiguration.id.in_(moved)).execute()
        now, rows = clock.now(), []
        for key, one in sorted(by_id.items()):
            row_id, customer_id, digest, removed_at, due = known.get(key, (None,) * 5)
            if row_id not in moved and (digest, removed_at, due) == (one.digest, None, ""):
                self._count("unchanged")
                continue
            self._count("changed" if row_id else "added")
            rows.append((owners[one.company_id or 0], self.tenant, key, one.company_id, one.name, JsonField().db_value(one.data),
                         one.digest, one.changed_at, now, None, ""))
        bulk_upsert(CwConfiguration, _CONFIGURATION, rows, conflict=("customer_id", "tenant", "cw_id"), update=_CONFIGURATION_REWRITTEN)

    def note_gone_configurations(self, run: HouseRun, seen: "array[int]") -> Removals:
        """Note the configurations that a complete listing did not mention.

        :param seen: the ids that it mentioned, in order.
        """
        there, due, names = 0, 0, list[str]()
        for batch in self._living_configurations():
            gone = [row for row in batch if not _holds(seen, row.cw_id)]
            there, due = there + len(batch), due + len(gone)
            names += [row.name for row in gone[:_MOST_NAMED - len(names)]]
            with atomic():
                run.claim()
                CwConfiguration.update(due_run=run.id).where(CwConfiguration.id.in_([row.id for row in gone])).execute()
        return Removals("configurations", due, there, tuple(names), not seen)

    def _living_configurations(self) -> Iterator[list[Any]]:
        last = 0
        query = CwConfiguration.select(CwConfiguration.id, CwConfiguration.cw_id, CwConfiguration.name).where(
            CwConfiguration.tenant == self.tenant, CwConfiguration.removed_at.is_null()).order_by(CwConfiguration.id).limit(BATCH)
        while batch := list(query.where(CwConfiguration.id > last).namedtuples()):
            yield batch
            last = batch[-1].id

    def remove_configurations(self, company: int, seen: "array[int]") -> None:
        """Mark those of one company as removed that a complete listing of it did not mention; inside a transaction."""
        there = CwConfiguration.select(CwConfiguration.id, CwConfiguration.cw_id).where(
            CwConfiguration.tenant == self.tenant, CwConfiguration.company_cw_id == company, CwConfiguration.removed_at.is_null())
        gone = [row_id for row_id, key in there.tuples() if not _holds(seen, key)]
        for among in chunked(gone, BATCH):
            CwConfiguration.update(removed_at=clock.now()).where(CwConfiguration.id.in_(list(among))).execute()
        self._count("removed", len(gone))

    def configurations_confirmed(self, moment: int, company: int | None = None) -> None:
        """Say that ConnectWise told of all configurations, or of those of one company, at this moment."""
        query = CwCompany.update(configurations_at=moment).where(CwCompany.tenant == self.tenant, CwCompany.customer_id.is_null(False))
        (query if company is None else query.where(CwCompany.cw_id == company)).execute()

    # -- what is gone -----------------------------------------------------------------------------------------------------------------

    def remove_due(self, run: HouseRun) -> None:
        """Mark what the run noted; nothing is deleted, and customers stay as they are."""
        now = clock.now()
        due = CwCompany.select(CwCompany.cw_id, CwCompany.customer_id, CwCompany.due_why).where(CwCompany.due_run == run.id)
        rows = list(due.tuples())
        for batch in chunked(rows, BATCH):
            with atomic():
                run.claim()
                CwCompany.update(removed_at=now, removed_why=CwCompany.due_why, due_run="").where(
                    CwCompany.due_run == run.id, CwCompany.cw_id.in_([key for key, _, _ in batch])).execute()
                record_many([Happening("company.removed", customer_id, customer_id, {"company": key, "why": why})
                             for key, customer_id, why in batch if customer_id], actor=self.actor)
        with atomic():
            run.claim()
            configurations = CwConfiguration.update(removed_at=now, due_run="").where(CwConfiguration.due_run == run.id).execute()
        self.counts["removed"] = len(rows) + configurations

    def remove_now(self, key: int, why: str) -> None:
        """Mark one company as removed, as ConnectWise said of it alone."""
        with atomic():
            row = CwCompany.get_or_none(CwCompany.tenant == self.tenant, CwCompany.cw_id == key, CwCompany.removed_at.is_null())
            if row is not None:
                CwCompany.update(removed_at=clock.now(), removed_why=why).where(CwCompany.id == row.id).execute()
                self._count("removed")
                if row.customer_id:
                    record_many([Happening("company.removed", row.customer_id, row.customer_id, {"company": key, "why": why})],
                                actor=self.actor)

    def remove_configuration_now(self, key: int) -> None:
        """Mark one configuration as removed."""
        removed = CwConfiguration.update(removed_at=clock.now()).where(
            CwConfiguration.tenant == self.tenant, CwConfiguration.cw_id == key, CwConfiguration.removed_at.is_null()).execute()
        self._count("removed", removed)

    def _count(self, what: str, number: int = 1) -> None:
        self.counts[what] = self.counts.get(what, 0) + number


def _holds(keys: "array[int]", key: int) -> bool:
    place = bisect_left(keys, key)
    return place < len(keys) and keys[place] == key


def in_order(keys: Iterable[int]) -> "array[int]":
    """Ids packed and sorted: eight bytes each, however many a listing has."""
    packed = array("q", keys)
    return array("q", sorted(packed)) if any(packed[at] > packed[at + 1] for at in range(len(packed) - 1)) else packed


def named(names: Mapping[int, str], keys: Iterable[int]) -> tuple[str, ...]:
    """Some of the names, for the person who decides."""
    return tuple(sorted(names[key] for key in keys)[:_MOST_NAMED])


