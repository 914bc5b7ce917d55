"""By when a finding is to be fixed: days since 1970 UTC, from the rules that hold for its asset."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core import clock
from core.hooks.contracts import Severity

SEVERITIES = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)  # info is in no total and never due
_WEEK, _WORKING_WEEK = 7, 5
_MONDAY = 3  # day 0 was a Thursday


def day_of(moment: int) -> int:
    return moment // clock.DAY


def end_of(day: int) -> int:
    """The last millisecond of a day."""
    return (day + 1) * clock.DAY - 1


def add_working_days(day: int, number: int) -> int:
    """The ``number``-th day from Monday to Friday after ``day``; what begins on a weekend begins as if on the Friday before."""
    weekday = (day + _MONDAY) % _WEEK
    if weekday >= _WORKING_WEEK:
        day, weekday = day - (weekday - _WORKING_WEEK + 1), _WORKING_WEEK - 1
    weeks, rest = divmod(number, _WORKING_WEEK)
    over_a_weekend = weekday + rest >= _WORKING_WEEK
    return day + weeks * _WEEK + rest + (_WEEK - _WORKING_WEEK if over_a_weekend else 0)


@dataclass(frozen=True, slots=True)
class Days:
    """So many days for each severity, which is the place in ``days``; None where nothing is due."""

    days: tuple[int | None, ...]
    counts_working_days: bool = False

    def after(self, day: int, severity: int) -> int | None:
        number = self.days[severity]
        if number is None:
            return None
        return add_working_days(day, number) if self.counts_working_days else day + number


@dataclass(frozen=True, slots=True)
class Terms:
    """What an asset's findings are due by: the strictest of some rules, since several of its groups may have one."""

    rules: tuple[Days, ...]

    def due_day(self, severity: int, started_at: int) -> int | None:
        """The day by whose end a finding is to be fixed; None when no rule covers it.

        :param started_at: when its clock started, put off by the time that it was accepted.
        """
        return _strictest(self.rules, severity, day_of(started_at))

    def stored(self) -> list[Any]:
        """As ``Asset.sla_terms`` keeps them."""
        return [[rule.counts_working_days, *rule.days] for rule in self.rules]


@lru_cache(maxsize=4096)  # most findings of a batch share day and severity
def _strictest(rules: tuple[Days, ...], severity: int, day: int) -> int | None:
    return min((due for rule in rules if (due := rule.after(day, severity)) is not None), default=None)


def of(rules: Iterable[Days]) -> Terms | None:
    """Terms of these rules, in one order whatever theirs; None when they make nothing due."""
    kept = {rule for rule in rules if any(number is not None for number in rule.days)}
    ordered = sorted(kept, key=lambda rule: (rule.counts_working_days, [(number is None, number or 0) for number in rule.days]))
    return Terms(tuple(ordered)) if ordered else None


def read(stored: list[Any] | None) -> Terms | None:
    """Terms as ``Terms.stored`` wrote them."""
    return None if not stored else Terms(tuple(Days(tuple(days), working) for working, *days in stored))
