"""Working days, and which of several rules counts."""

from datetime import UTC, date, datetime, timedelta

import pytest

from core.findings import terms
from core.findings.terms import Days, Terms, add_working_days
from core.hooks.contracts import Severity

EPOCH = date(1970, 1, 1)


def day(text: str) -> int:
    return (date.fromisoformat(text) - EPOCH).days


def counted_one_by_one(start: int, number: int) -> int:
    """The plain way: go on day by day, and count those from Monday to Friday."""
    while number:
        start += 1
        number -= (EPOCH + timedelta(days=start)).weekday() < 5
    return start


@pytest.mark.parametrize(("start", "number", "due"), [
    ("2026-05-11", 1, "2026-05-12"), ("2026-05-11", 5, "2026-05-18"), ("2026-05-15", 1, "2026-05-18"), ("2026-05-16", 1, "2026-05-18"),
    ("2026-05-17", 1, "2026-05-18"), ("2026-05-17", 6, "2026-05-25")])
def test_working_days(start, number, due):
    assert add_working_days(day(start), number) == day(due)


def test_working_days_are_those_that_one_counts():
    for start in range(day("2026-05-01"), day("2026-05-15")):
        for number in range(1, 30):
            assert add_working_days(start, number) == counted_one_by_one(start, number)


def test_the_strictest_rule_counts_and_a_severity_without_one_is_never_due():
    loose, strict = Days((None, 90, 60, 30, 7)), Days((None, None, None, 10, 6), counts_working_days=True)
    held = terms.of([loose, strict, loose])
    friday = day("2026-05-15") * 86_400_000
    assert held.due_day(Severity.CRITICAL, friday) == day("2026-05-22")
    assert held.due_day(Severity.HIGH, friday) == day("2026-05-29")
    assert held.due_day(Severity.LOW, friday) == day("2026-08-13")
    assert held.due_day(Severity.INFO, friday) is None
    assert terms.read(held.stored()) == held == terms.of([strict, loose])
    assert terms.of([]) is terms.of([Days((None,) * 5)]) is terms.read(None) is None
    assert Terms((strict,)).due_day(Severity.LOW, friday) is None


def test_a_day_ends_with_its_last_millisecond():
    end = terms.end_of(day("2026-05-15"))
    assert datetime.fromtimestamp(end / 1000, UTC).isoformat() == "2026-05-15T23:59:59.999000+00:00"
    assert (terms.day_of(end), terms.day_of(end + 1)) == (day("2026-05-15"), day("2026-05-16"))
