"""Which customer a company is: certain, or for a person to say."""

import pytest

from plugins.connectwise.matching import (
    NAME_TAKEN,
    NEW,
    REPLACED,
    SAME_NAME,
    SEVERAL,
    SIMILAR,
    Candidate,
    Decision,
    Matcher,
    loose_forms,
)

FREE = {"cus_acme": "acme corp", "cus_blue": "blåfjell as", "cus_code": "nfj", "cus_short": "northfjell"}


def company(name: str, identifier: str = "XYZ", **more) -> Candidate:
    return Candidate(name, name.casefold(), identifier, identifier.casefold(), **more)


def decide(candidate: Candidate, *, creates: bool = True) -> Decision:
    return Matcher(FREE, creates).decide(candidate)


@pytest.mark.parametrize(("candidate", "expected"), [
    (company("Acme Corp"), Decision("cus_acme")),
    (company("Northfjell Group", "NFJ"), Decision("cus_code")),
    (company("Nobody knows it"), Decision(is_new=True)),
    (company("Acme Corp", "NFJ"), Decision(review=SEVERAL, candidates=("cus_acme", "cus_code"))),
    (company("Acme Corp", twins=["cus_other", None]), Decision(review=SAME_NAME, candidates=("cus_acme", "cus_other"))),
    (company("Elsewhere", holder="cus_linked"), Decision(review=NAME_TAKEN, candidates=("cus_linked",))),
    (company("Acme Corporation"), Decision(review=SIMILAR, candidates=("cus_acme",))),
    (company("Blafjell"), Decision(review=SIMILAR, candidates=("cus_blue",))),
    (company("Northfjell AS"), Decision(review=SIMILAR, candidates=("cus_short",))),
    (company("Northfjell Group", "NorthfjellAS", ), Decision(is_new=True)),
    (company("Northfjell Group", "NFJ", is_named_elsewhere=True), Decision(review=SIMILAR, candidates=("cus_code",))),
    (company("Acme Corp", heir_of="cus_gone", heir_by_name=True), Decision("cus_gone")),
    (company("Acme Two", heir_of="cus_gone"), Decision(review=REPLACED, candidates=("cus_gone",))),
], ids=str)
def test_a_company_is_matched_made_or_put_on_the_list(candidate, expected):
    assert decide(candidate) == expected


def test_who_may_not_be_made_waits():
    assert decide(company("Nobody knows it"), creates=False) == Decision(review=NEW)


def test_a_customer_is_given_away_once():
    matcher = Matcher(FREE, creates=True)
    assert matcher.decide(company("Acme Corp")).customer_id == "cus_acme"
    second = matcher.decide(company("Something", "Acme Corp", holder=None))
    assert second == Decision(is_new=True)
    assert matcher.decide(company("ACME CORP", holder="cus_acme")) == Decision(review=NAME_TAKEN, candidates=("cus_acme",))


@pytest.mark.parametrize(("one", "other"), [
    ("blåfjell a/s", "blafjell as"), ("acme corp.", "acme corporation"), ("the acme company, inc", "acme"), ("ørsta rør", "orsta ror as"),
    ("straße & co", "strasse and co"), ("northfjell as", "northfjellas"), ("a.b.c. ltd", "abc"),
])
def test_names_that_are_alike_share_a_form(one, other):
    assert loose_forms(one) & loose_forms(other)


@pytest.mark.parametrize(("one", "other"), [("acme", "acme north"), ("north", "norths"), ("株式会社", "有限会社"), ("", ""), ("as", "ab")])
def test_names_that_are_not_alike_share_none(one, other):
    assert not loose_forms(one) & loose_forms(other)
