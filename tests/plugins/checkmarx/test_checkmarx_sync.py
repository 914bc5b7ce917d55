"""Whole syncs by core: what is stored, closed and pruned, and what is left alone."""

import os
from importlib.metadata import EntryPoint

import pytest

from core import clock
from core.assets.models import Asset, GroupMember
from core.connections import service
from core.credentials.keyring import Keyring
from core.deployment import Deployment
from core.findings.models import Finding
from core.hooks.contracts import AssetKind, Discipline
from core.hooks.manager import Plugins
from core.jobs.queue import JobQueue
from core.settings import Settings
from core.testing.connector_kit import check_connector
from plugins.checkmarx.connector import CheckmarxConnector
from plugins.checkmarx.upstream import TENANTS, TODAY, Credential, DastScan, Scan, World, create_app, default_world
from tests.plugins.checkmarx.conftest import CLIENT, SECRET
from tests.plugins.checkmarx.results import E1, P1, P2, S1, S2, S3, attack, environment, project, sast, sca
from tests.servers import LOOPBACK
from tests.syncing import customer, living_assets, rollups_are_right, states, sync

PLUGIN = EntryPoint("checkmarx", "plugins.checkmarx", "stockade.plugins")


@pytest.fixture
def deployment(sqlite_database, redis_url) -> Deployment:
    settings = Settings(master_key=os.urandom(32), password_cost="test", upstream_allow=LOOPBACK, upstream_backoff=0.0,
                        database_url=sqlite_database)
    return Deployment(settings, Plugins.load(settings, [PLUGIN]), JobQueue(redis_url), Keyring(settings.master_key or b""))


@pytest.fixture
def connected(deployment, settings_for):
    """A new customer with a connection to this world."""

    def made(world: World, **settings):
        scope = customer("Acme")
        given = {**settings_for(world), **settings}
        return scope, service.configure(deployment, scope, deployment.plugins.connector("checkmarx"), given, actor="test")

    return made


def world() -> World:
    scanned = project(Scan.holding(S1, sast("a"), sca("CVE-2031-1111"), created=TODAY - clock.DAY))
    return World.of(scanned, project(Scan.holding(S3, sast("other")), key=P2), environments=[environment(attack("x"), projects=[P1])])


def of_project(scope, key=P1):
    asset = Asset.get(Asset.customer_id == scope.customer_id, Asset.external_key == key)
    return {finding.source_key.partition(":")[0]: finding.status for finding in Finding.select().where(Finding.asset_id == asset.id)}


def test_a_sync_stores_projects_as_application_and_environments_as_offensive_security(deployment, connected):
    scope, connection = connected(world())
    run = sync(deployment, connection)
    assert (run.state, run.counts["added"], run.counts.get("unmapped")) == ("succeeded", 4, 0)
    assert {asset.external_key: asset.discipline for asset in Asset.within(scope)} == {P1: "appsec", P2: "appsec", f"dast:{E1}": "offsec"}
    assert rollups_are_right()


def test_a_sync_of_the_same_scans_changes_nothing(deployment, connected):
    _, connection = connected(world())
    sync(deployment, connection)
    assert sync(deployment, connection).counts["unchanged"] == 4


def test_a_new_scan_closes_what_it_no_longer_finds_and_only_of_its_engines(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.tenants["acme"].projects[P1].scans.append(Scan.holding(S2, created=TODAY, engines={"sast": "Completed"}))
    assert sync(deployment, connection).counts["closed"] == 1
    assert of_project(scope) == {"sast": "gone", "sca": "open"}
    assert rollups_are_right()


def test_a_project_whose_finished_scans_were_deleted_keeps_its_findings(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.tenants["acme"].projects[P1].scans[:] = [Scan.holding(S2, status="Failed")]
    assert sync(deployment, connection).state == "succeeded"
    assert of_project(scope) == {"sast": "open", "sca": "open"}
    assert P1 in living_assets(scope)


def test_a_project_that_is_no_longer_assigned_is_pruned_and_its_group_membership_rests(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.remove(P2)
    assert sync(deployment, connection).counts["pruned"] == 1
    assert living_assets(scope) == {P1, f"dast:{E1}"}
    assert {asset.external_key for asset in Asset.within(scope).join(GroupMember, on=GroupMember.asset == Asset.id)} == {P1, f"dast:{E1}"}


def test_a_dismissed_result_leaves_the_totals_and_keeps_the_source_s_word(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.tenants["acme"].projects[P1].scans[0].results[0].state = "NOT_EXPLOITABLE"
    sync(deployment, connection)
    assert sorted(states(scope).values()) == ["false_positive", "open", "open", "open"]
    assert Finding.get(Finding.status == "false_positive").source_status == "NOT_EXPLOITABLE"
    assert rollups_are_right()


@pytest.mark.parametrize(("kind", "path", "state"), [
    ("unpublished", "results", "partial"), ("cut_json", "dast/mfe-results/results/{}", "partial"), ("null", "projects", "failed"),
    ("empty_page", "dast/scans/environments", "failed"), ("revoke", "results", "failed"),
])
def test_a_pull_in_trouble_closes_and_prunes_nothing(deployment, connected, kind, path, state):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    before = states(scope)
    held.faults.add(kind, path=path)
    run = sync(deployment, connection)
    assert run.state == state
    assert states(scope) == before
    assert len(living_assets(scope)) == 3


def test_dast_that_may_not_be_read_any_more_is_not_pruned(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.admit_client(Credential("acme", CLIENT, SECRET, forbidden=("/api/dast",)))
    run = sync(deployment, connection)
    assert (run.state, run.reason_code) == ("failed", "permission_missing")
    assert f"dast:{E1}" in living_assets(scope)


def test_an_environment_s_result_that_a_later_scan_misses_is_closed(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.tenants["acme"].environments[E1].scans.append(DastScan(S2, updated=TODAY + clock.DAY))
    sync(deployment, connection)
    assert of_project(scope, f"dast:{E1}") == {"dast": "gone"}


def test_a_webhook_syncs_the_project_alone(deployment, connected):
    held = world()
    scope, connection = connected(held)
    sync(deployment, connection)
    held.calls.clear()
    assert sync(deployment, connection, asset_keys=[P1]).state == "succeeded"
    assert held.calls["projects"] == held.calls["dast/scans/environments"] == 0


def test_no_secret_is_kept_with_the_run(deployment, connected):
    held = world()
    _, connection = connected(held)
    held.faults.add("status", path="projects", status=400)
    run = sync(deployment, connection)
    assert run.state == "failed"
    assert SECRET not in f"{run.reason} {run.problems}"
    assert not any(token in f"{run.reason} {run.problems}" for token in held.access)


@pytest.mark.parametrize("tenant", TENANTS)
def test_the_connector_keeps_the_contract_over_the_demo(serve, tenant):
    held = default_world()
    held.admit_client(Credential(tenant, CLIENT, SECRET))
    settings = {"url": serve(create_app(held)), "tenant": tenant, "client_id": CLIENT, "client_secret": SECRET}
    kinds = [AssetKind("checkmarx_appsec", "Project"), AssetKind("dast_environment", "Environment", Discipline.OFFSEC)]
    pulled = check_connector(CheckmarxConnector(), settings, kinds=kinds)
    assert not pulled.unmapped
    assert {asset.kind for asset in pulled.assets} == {"checkmarx_appsec", "dast_environment"}
