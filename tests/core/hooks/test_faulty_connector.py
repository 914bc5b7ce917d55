"""A connector that raises or answers nonsense at run time: its run says so under its own name, and nothing is closed."""

import pytest

from core.assets.models import Asset
from core.connections import service
from core.connections.models import Connection
from core.deployment import Deployment
from core.findings.models import Finding
from core.hooks.contracts import AssetDraft, AssetKind, FindingDraft, Severity
from tests import syncing
from tests.core.hooks.conftest import Source

FIRST, SECOND = AssetDraft("one", "One", "thing"), AssetDraft("two", "Two", "thing")


class Spoilable(Source):
    """A source with two assets of one finding each, whose parts a test spoils after a first sync."""

    def open(self, settings, upstream):
        return self

    def catalog(self):
        return iter([FIRST, SECOND])

    def asset(self, key):
        return FIRST

    def findings(self, asset):
        return iter([FindingDraft(f"f-{asset.key}", "A finding", Severity.HIGH, rule="r")])

    def rules(self, keys):
        return iter(())


@pytest.fixture
def source():
    return Spoilable("spoilable")


@pytest.fixture
def deployment(sqlite_database, redis_url, plugin, load, source):
    parts = syncing.deployment_for(redis_url)
    plugins = load(plugin("spoilable", register_connectors=[source], register_asset_kinds=[AssetKind("thing", "Thing")]))
    return Deployment(parts.settings, plugins, parts.queue, parts.keyring)


@pytest.fixture
def connection(deployment, source):
    connection = service.configure(deployment, syncing.customer("Acme"), source, {}, actor="test")
    assert syncing.sync(deployment, connection).state == "succeeded"
    return connection


def raising(*args):
    raise RuntimeError("a bug with squ_0123456789012345678901234567890123456789")


def raising_after(draft):
    def answer(*args):
        yield draft
        raise RuntimeError("a bug")
    return answer


def on_the_first(answer, otherwise):
    return lambda asset: answer(asset) if asset.key == "one" else otherwise(asset)


@pytest.mark.parametrize(("part", "answer"), [
    ("open", raising), ("catalog", raising), ("catalog", raising_after(FIRST)), ("catalog", lambda: None),
    ("catalog", lambda: iter(["one"])), ("catalog", lambda: iter([AssetDraft("one", "One", "nobodys_kind")])),
])
def test_a_bug_before_the_findings_fails_the_run_by_name_and_takes_nothing_away(deployment, connection, source, monkeypatch, part, answer):
    monkeypatch.setattr(source, part, answer, raising=False)
    run = syncing.sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "plugin_error")
    assert "squ_" not in run.reason
    assert_nothing_was_lost()


@pytest.mark.parametrize("answer", [
    raising, raising_after(FindingDraft("f-one", "A finding", Severity.HIGH)), lambda asset: None, lambda asset: iter([{"id": "f-one"}])])
def test_a_bug_in_the_findings_of_one_asset_leaves_that_asset_alone(deployment, connection, source, monkeypatch, answer):
    monkeypatch.setattr(source, "findings", on_the_first(answer, source.findings), raising=False)
    run = syncing.sync(deployment, connection)
    assert (run.state, [(problem["asset"], problem["code"]) for problem in run.problems]) == ("partial", [("one", "plugin_error")])
    assert_nothing_was_lost()


@pytest.mark.parametrize("answer", [raising, lambda keys: iter(["r"])])
def test_a_bug_in_the_rules_leaves_the_asset_alone(deployment, connection, source, monkeypatch, answer):
    monkeypatch.setattr(source, "rules", answer, raising=False)
    monkeypatch.setattr(source, "findings", lambda asset: iter([FindingDraft(f"f-{asset.key}", "A finding", Severity.HIGH, rule="new")]),
                        raising=False)
    run = syncing.sync(deployment, connection)
    assert [problem["code"] for problem in run.problems] == ["plugin_error"] * 2
    assert_nothing_was_lost()


@pytest.mark.parametrize("answer", [raising, lambda key: None])
def test_a_bug_while_a_webhooks_asset_is_looked_up_is_told(deployment, connection, source, monkeypatch, answer):
    monkeypatch.setattr(source, "asset", answer, raising=False)
    run = syncing.sync(deployment, connection, asset_keys=("one",))
    assert [problem["code"] for problem in run.problems] == ["plugin_error"]
    assert_nothing_was_lost()


def assert_nothing_was_lost():
    assert {finding.status for finding in Finding.select()} == {"open"}
    assert Asset.select().where(Asset.pruned_at.is_null()).count() == 2
    assert Connection.select().count() == 1
    assert syncing.rollups_are_right()
