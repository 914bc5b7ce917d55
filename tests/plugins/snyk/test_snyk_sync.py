"""Snyk synced by the engine, from its listing to what is stored."""

import ipaddress
from dataclasses import replace
from importlib.metadata import EntryPoint

import pytest

from core.connections import service
from core.credentials.keyring import Keyring
from core.deployment import Deployment
from core.hooks.manager import Plugins
from core.jobs.queue import JobQueue
from plugins.snyk.upstream import Ignore, Issue, Organization, Project, World, create_app
from tests import syncing
from tests.factories import SETTINGS

APP, WEB = "app", "web"


@pytest.fixture
def world() -> World:
    """One organization with two projects: of one four issues, one of them ignored; of the other one."""
    issues = [*(Issue(key, id=key, severity="high") for key in ("a", "b", "c")), Issue("fp", id="fp", ignored=Ignore("", "not-vulnerable"))]
    return World.of(Organization.of("acme", Project(APP, APP, make_issues=lambda: issues),
                                    Project(WEB, WEB, make_issues=lambda: [Issue("w", id="w")])))


@pytest.fixture
def customer(sqlite_database):
    return syncing.customer("Acme")


@pytest.fixture
def sync(sqlite_database, redis_url, serve, world, customer):
    """Syncs the customer's connection, or only the projects that are named."""
    settings = replace(SETTINGS, upstream_allow=(ipaddress.ip_network("127.0.0.0/8"),), upstream_backoff=0.0, run_lease_seconds=30.0)
    plugins = Plugins.load(settings, [EntryPoint("snyk", "plugins.snyk", "stockade.plugins")])
    deployment = Deployment(settings, plugins, JobQueue(redis_url), Keyring(SETTINGS.master_key or b""))
    given = {"url": serve(create_app(world)), "token": world.admit()}
    connection = service.configure(deployment, customer, plugins.connector("snyk"), given, actor="test")
    return lambda *keys: syncing.sync(deployment, connection, asset_keys=list(keys) or None)


def issue(world: World, key: str) -> Issue:
    return next(found for project in world.organization_by("acme").projects.values() for found in project.issues if found.key == key)


def test_what_snyk_says_is_what_is_stored(sync, customer):
    run = sync()
    assert (run.state, run.counts["added"], run.counts["requests"]) == ("succeeded", 5, 6)
    assert syncing.states(customer) == {"a": "open", "b": "open", "c": "open", "fp": "false_positive", "w": "open"}
    assert syncing.living_assets(customer) == {APP, WEB}
    assert sync().counts["unchanged"] == 5


def test_an_issue_that_is_fixed_closes_and_one_that_returns_is_open_again(sync, world, customer):
    sync()
    issue(world, "a").status = "resolved"
    world.changed()
    sync()
    assert syncing.states(customer)["a"] == "gone"
    issue(world, "a").status = "open"
    world.changed()
    sync()
    assert syncing.states(customer)["a"] == "open"
    assert syncing.rollups_are_right()


@pytest.mark.parametrize("kind", ["empty", "cut_json", "html"])
def test_a_listing_that_goes_wrong_closes_nothing(sync, world, customer, kind):
    sync()
    before = syncing.states(customer)
    world.faults.add(kind, path="orgs/issues")
    assert sync().state in ("partial", "failed")
    assert syncing.states(customer) == before


def test_a_webhook_syncs_its_project_alone(sync, world, customer):
    sync()
    for key in ("a", "w"):
        issue(world, key).status = "resolved"
    world.changed()
    assert sync(APP).state == "succeeded"
    assert {key: state for key, state in syncing.states(customer).items() if key in "aw"} == {"a": "gone", "w": "open"}


def test_a_project_that_is_deactivated_leaves_with_its_findings_as_they_were_and_returns_with_them(sync, world, customer):
    sync()
    project = world.organization_by("acme").projects[WEB]
    project.status = "inactive"
    assert sync().counts["pruned"] == 1
    assert syncing.living_assets(customer) == {APP}
    assert syncing.states(customer)["w"] == "open"
    project.status = "active"
    sync()
    assert syncing.living_assets(customer) == {APP, WEB}
