"""Lists of findings: order, filters, pages by keyset, bounded counts; and one finding with its history."""

import pytest

from core.assets.models import Asset, GroupMember
from core.connections.models import Run
from core.errors import NotFound
from core.findings import service
from core.findings.models import Finding
from core.findings.service import Filter
from core.findings.state import Status
from core.hooks.contracts import Severity, SourceState
from core.ids import finding_public_id
from core.scope import Scope
from tests import scripted, syncing
from tests.scripted import finding

ALL_STATES = tuple(Status)


@pytest.fixture
def world():
    return scripted.start_anew()


@pytest.fixture
def deployment(database, redis_url):
    return syncing.deployment_for(redis_url)


@pytest.fixture
def acme(deployment, world):
    """A customer with findings of every kind, beside another with the same."""
    world.assets = {
        "shop": [finding("sqli", Severity.CRITICAL, cwe=(89, 564), path="src/Invoice.java", rule="java:S2077", category="vulnerability"),
                 finding("xss", Severity.HIGH, cwe=(79,), title="100% escaped_here", category="hotspot"),
                 finding("old", Severity.HIGH, state=SourceState.FIXED)],
        "api": [finding("log4j", Severity.CRITICAL, cve=("CVE-2021-44228",)), finding("note", Severity.INFO),
                finding("waved", Severity.LOW, state=SourceState.ACCEPTED)]}
    scopes = [syncing.customer("Acme"), syncing.customer("Globex")]
    for scope in scopes:
        syncing.sync(deployment, syncing.connected(deployment, scope))
    return scopes[0]


def keys(scope, **wanted):
    return [row.source_key for row in service.page(scope, Filter(**wanted)).findings]


def test_open_findings_come_by_severity_and_nothing_of_another_customer(acme):
    found = service.page(acme, Filter()).findings
    assert [row.source_key for row in found] == ["log4j", "sqli", "xss", "note"]
    assert {row.customer_id for row in found} == {acme.customer_id}


@pytest.mark.parametrize(("wanted", "expected"), [
    ({"states": ALL_STATES}, ["log4j", "sqli", "old", "xss", "waved", "note"]),
    ({"states": (Status.FIXED, Status.ACCEPTED)}, ["old", "waved"]),
    ({"severities": (Severity.HIGH, Severity.INFO)}, ["xss", "note"]),
    ({"sources": ("scripted",)}, ["log4j", "sqli", "xss", "note"]),
    ({"sources": ("other",)}, []),
    ({"cwe": 89}, ["sqli"]),
    ({"cwe": 9}, []),
    ({"cwe": 564}, ["sqli"]),
    ({"text": "INVOICE"}, ["sqli"]),
    ({"text": "cve-2021"}, ["log4j"]),
    ({"text": "100%"}, ["xss"]),
    ({"text": "0_0"}, []),
    ({"text": "d_h"}, ["xss"]),
    ({"category": "hotspot"}, ["xss"]),
    ({"asset_id": "ast_none"}, []),
    ({"group_id": "grp_none"}, []),
], ids=str)
def test_filters_narrow_the_list(acme, wanted, expected):
    assert sorted(keys(acme, **wanted)) == sorted(expected)
    assert service.count(acme, Filter(**wanted)) == (len(expected), True)


def test_asset_and_group_narrow_the_list(acme):
    shop = Asset.get(Asset.external_key == "shop", Asset.customer_id == acme.customer_id)
    assert keys(acme, asset_id=shop.id) == ["sqli", "xss"]
    group = GroupMember.get(GroupMember.asset == shop.id).group_id
    GroupMember.delete().where(GroupMember.group == group, GroupMember.asset != shop.id).execute()
    assert keys(acme, group_id=group) == ["sqli", "xss"]
    limited = Scope(acme.customer_id, frozenset({group}))
    assert keys(limited) == ["sqli", "xss"]
    assert keys(Scope(acme.customer_id, frozenset())) == []
    assert keys(Scope(acme.customer_id, hidden_sources=frozenset({"scripted"}))) == []


@pytest.mark.parametrize("limit", [1, 2, 3, 6])
def test_pages_together_are_the_whole_list_once(acme, limit):
    wanted, after, seen = Filter(states=ALL_STATES), None, []
    while True:
        page = service.page(acme, wanted, after=after, limit=limit)
        seen += [row.id for row in page.findings]
        after = page.after
        if after is None:
            break
    assert seen == [row.id for row in service.page(acme, wanted).findings]
    assert len(seen) == 6


def test_counting_stops_at_its_bound(acme, monkeypatch):
    monkeypatch.setattr(service, "COUNT_LIMIT", 2)
    assert service.count(acme, Filter()) == (2, False)
    assert service.count(acme, Filter(states=ALL_STATES)) == (2, False)


def test_an_opened_finding_has_rule_and_history_and_belongs_to_its_customer_alone(acme):
    other = Run.get(Run.customer_id != acme.customer_id).customer_id
    row = Finding.get(Finding.source_key == "sqli", Finding.customer_id == acme.customer_id)
    opened = service.opened(acme, finding_public_id(row.id))
    assert (opened.asset.external_key, opened.rule.name, opened.finding.description) == ("shop", "Rule java:S2077", "")
    for public_id in (finding_public_id(row.id + 10_000), str(row.id), "fnd_", "fnd_zzzz", "x" * 400):
        with pytest.raises(NotFound):
            service.opened(acme, public_id)
    with pytest.raises(NotFound):
        service.opened(Scope(other), finding_public_id(row.id))
