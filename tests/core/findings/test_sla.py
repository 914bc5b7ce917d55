"""Due days: from when a finding was first seen, put off while it is accepted, by the policy of the organization or of a group."""

import pytest

from core import clock
from core.access.models import GroupLimit
from core.assets.models import Asset, AssetGroup, GroupMember
from core.audit.models import AuditEvent
from core.connections import upkeep
from core.db import db
from core.findings import restating, rollups, settling, sla, verdicts
from core.findings.models import AssetDue, Finding, SlaPolicy
from core.findings.sla import Policy
from core.findings.state import VerdictKind
from core.findings.terms import day_of
from core.findings.verdicts import Decision
from core.hooks.contracts import Severity, SourceState
from core.overview import kernel
from core.scope import Scope
from tests import scripted, syncing
from tests.factories import make_customer, make_user, signed_in_client
from tests.scripted import finding

ACCEPTED = Decision(VerdictKind.ACCEPTED, "The risk is known")
WEEK = Policy(None, critical=7, high=30, medium=90)


@pytest.fixture
def world():
    return scripted.start_anew()


@pytest.fixture
def deployment(database, redis_url):
    return syncing.deployment_for(redis_url)


@pytest.fixture
def acme(database) -> Scope:
    return syncing.customer("Acme")


@pytest.fixture
def connection(deployment, acme):
    return syncing.connected(deployment, acme)


def seen_days_ago(days: int) -> None:
    """As if every finding had been there so long. Its due day is derived at the next change, as it would be on that day."""
    Finding.update(first_seen_at=Finding.first_seen_at - days * clock.DAY).execute()


def due(scope: Scope) -> dict[str, int | None]:
    """Days from today until each finding is due."""
    today = day_of(clock.now())
    rows = Finding.select().where(Finding.customer_id == scope.customer_id)
    return {row.source_key: None if row.due_day is None else row.due_day - today for row in rows}


def keys(*source_keys: str) -> list[int]:
    return [Finding.get(Finding.source_key == key).id for key in source_keys]


def asset(key: str) -> Asset:
    return Asset.get(Asset.external_key == key)


def grouped(scope: Scope, name: str, *assets: str) -> str:
    group = AssetGroup.create(id=f"grp_{name}", customer_id=scope.customer_id, name=name, created_at=1, updated_at=1)
    for key in assets:
        GroupMember.create(customer_id=scope.customer_id, group=group, asset=asset(key), added_at=1)
    return group.id


def test_without_a_policy_nothing_is_due_and_nothing_is_kept(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a", Severity.CRITICAL)]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": None}
    assert AssetDue.select().count() == 0
    assert kernel.breaches(acme, day_of(clock.now()) + 10_000) == 0


def test_a_policy_gives_due_days_to_what_is_there_and_to_what_comes(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("i", Severity.INFO), finding("x", Severity.LOW),
                             finding("f", Severity.CRITICAL, state=SourceState.FIXED)]}
    syncing.sync(deployment, connection)
    sla.replace(acme, [WEEK], actor="anna")
    assert due(acme) == {"a": 7, "i": None, "x": None, "f": None}
    world.assets = {"shop": [*world.assets["shop"], finding("b", Severity.HIGH)], "api": [finding("c", Severity.MEDIUM)]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": 7, "i": None, "x": None, "f": None, "b": 30, "c": 90}
    assert {(row.asset_id, row.due_day - day_of(clock.now()), row.open_findings) for row in AssetDue.select()} == {
        (asset("shop").id, 7, 1), (asset("shop").id, 30, 1), (asset("api").id, 90, 1)}
    assert rollups.check() == []
    sla.replace(acme, [], actor="anna")
    assert set(due(acme).values()) == {None}
    assert AssetDue.select().count() == SlaPolicy.select().count() == 0
    assert rollups.check() == []


def test_the_clock_starts_at_first_sight_and_a_finding_that_returns_has_lost_no_time(deployment, connection, acme, world):
    sla.replace(acme, [WEEK], actor="anna")
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("b", Severity.HIGH)]}
    syncing.sync(deployment, connection)
    seen_days_ago(10)
    world.assets = {"shop": [finding("b", Severity.CRITICAL)]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": None, "b": -3}
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("b", Severity.MEDIUM)]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": -3, "b": 80}
    assert kernel.breaches(acme, day_of(clock.now())) == 1
    assert rollups.check() == []


def test_the_clock_pauses_while_accepted_and_not_while_called_a_false_positive(deployment, connection, acme, world):
    sla.replace(acme, [WEEK], actor="anna")
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("b", Severity.CRITICAL)]}
    syncing.sync(deployment, connection)
    verdicts.decide(acme, keys("a"), ACCEPTED, actor="anna")
    verdicts.decide(acme, keys("b"), Decision(VerdictKind.FALSE_POSITIVE), actor="anna")
    assert due(acme) == {"a": None, "b": None}
    seen_days_ago(20)
    Finding.update(paused_since=Finding.paused_since - 20 * clock.DAY).where(Finding.paused_since.is_null(False)).execute()
    verdicts.decide(acme, keys("a"), Decision(VerdictKind.ACCEPTED, "Again"), actor="anna")
    verdicts.reopen(acme, keys("a", "b"), actor="anna")
    assert due(acme) == {"a": 7, "b": -13}
    row = Finding.get(Finding.source_key == "a")
    assert (row.paused_ms // clock.DAY, row.paused_since) == (20, None)
    assert rollups.check() == []


def test_what_an_acceptance_paused_counts_once_whoever_ends_it(deployment, connection, acme, world):
    sla.replace(acme, [WEEK], actor="anna")
    world.assets = {"shop": [finding(key, Severity.CRITICAL) for key in "abc"]}
    syncing.sync(deployment, connection)
    verdicts.decide(acme, keys("a", "b"), Decision(VerdictKind.ACCEPTED, "x", clock.now() + clock.DAY), actor="anna")
    seen_days_ago(5)
    Finding.update(paused_since=Finding.paused_since - 5 * clock.DAY).where(Finding.paused_since.is_null(False)).execute()
    world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("c", Severity.CRITICAL, state=SourceState.ACCEPTED)]}
    syncing.sync(deployment, connection)  # b is gone
    settling.expire(clock.now() + 2 * clock.DAY)
    world.assets = {"shop": [finding(key, Severity.CRITICAL) for key in "abc"]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": 7, "b": 7, "c": 2}
    assert rollups.check() == []


def test_a_renamed_finding_keeps_its_due_day(deployment, connection, acme, world):
    sla.replace(acme, [WEEK], actor="anna")
    world.assets = {"shop": [finding("a", Severity.CRITICAL, fingerprint="x")]}
    syncing.sync(deployment, connection)
    seen_days_ago(10)
    world.assets = {"shop": [finding("b", Severity.CRITICAL, fingerprint="x")]}
    syncing.sync(deployment, connection)
    assert due(acme) == {"b": -3}
    assert rollups.check() == []


def test_a_group_has_its_own_policy_and_of_several_the_strictest_counts(deployment, connection, acme, world):
    world.assets = {key: [finding(f"{key} {severity.name}", severity) for severity in (Severity.CRITICAL, Severity.HIGH)]
                    for key in ("jewel", "lab", "both", "plain")}
    syncing.sync(deployment, connection)
    jewels, labs = grouped(acme, "jewels", "jewel", "both"), grouped(acme, "labs", "lab", "both")
    sla.replace(acme, [WEEK, Policy(jewels, critical=2), Policy(labs, critical=20, high=90)], actor="anna")
    assert due(acme) == {"jewel CRITICAL": 2, "jewel HIGH": 30, "lab CRITICAL": 20, "lab HIGH": 90, "both CRITICAL": 2, "both HIGH": 30,
                         "plain CRITICAL": 7, "plain HIGH": 30}
    assert rollups.check() == []


def test_an_asset_that_changes_groups_is_held_to_the_other_policy_soon(deployment, connection, acme, world):
    from core.assets import groups
    from core.assets.groups import GroupDraft, ReplaceMode

    world.assets = {"shop": [finding("a", Severity.CRITICAL)], "api": [finding("b", Severity.CRITICAL)]}
    syncing.sync(deployment, connection)
    jewels = grouped(acme, "jewels", "shop")
    sla.replace(acme, [WEEK, Policy(jewels, critical=2)], actor="anna")
    upkeep.bring_in_line(clock.now())
    groups.replace(acme, [GroupDraft("jewels", (asset("api").id,), jewels)], ReplaceMode.ALL, may_change_shared=False, actor="anna")
    assert due(acme) == {"a": 2, "b": 7}
    upkeep.bring_in_line(clock.now())
    assert due(acme) == {"a": 7, "b": 2}
    assert rollups.check() == []


def test_a_pull_sees_by_itself_that_its_asset_is_held_to_other_terms(deployment, connection, acme, world):
    world.assets = {"shop": [finding("a", Severity.CRITICAL)]}
    syncing.sync(deployment, connection)
    SlaPolicy.create(customer_id=acme.customer_id, critical=3, updated_at=1)  # as if nobody had come to bring assets in line
    syncing.sync(deployment, connection)
    assert due(acme) == {"a": 3}
    assert rollups.check() == []


def test_a_change_of_policy_that_was_killed_is_finished_by_the_scheduler(acme, deployment, connection, world, monkeypatch):
    world.assets = {f"p{number}": [finding(f"k{number} {index}", Severity.CRITICAL) for index in range(5)] for number in range(6)}
    syncing.sync(deployment, connection)
    monkeypatch.setattr(restating, "BATCH", 4)
    monkeypatch.setattr(sla, "_FINDINGS_AT_ONCE", 10)
    for after in (6, 20, 35, 50):
        left = [after]

        def count(event, left=left):
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt

        db.query_hooks.append(count)
        try:
            sla.replace(acme, [Policy(None, critical=after)], actor="anna")
        except KeyboardInterrupt:
            pass
        finally:
            db.query_hooks.remove(count)
        assert rollups.check() == []
        wanted = {policy.critical for policy in sla.policies(acme)}
        while sla.customers_to_bring_in_line(10):
            upkeep.bring_in_line(clock.now())
        assert set(due(acme).values()) == (wanted or {None})
        assert rollups.check() == []


def test_a_change_of_policy_costs_a_constant_number_of_statements_per_thousand(acme, deployment, connection, world, statements):
    globex = syncing.customer("Globex")
    theirs = syncing.connected(deployment, globex)
    world.assets = {f"p{number}": [finding(f"k{number} {index}", Severity.CRITICAL) for index in range(20)] for number in range(50)}
    syncing.sync(deployment, connection)
    world.assets = {f"p{number}": [finding(f"k{number} {index}", Severity.CRITICAL) for index in range(60)] for number in range(50)}
    syncing.sync(deployment, theirs)
    counted = []
    for scope in (acme, globex):
        with statements() as executed:
            sla.replace(scope, [WEEK], actor="anna")
        counted.append(len(executed))
    assert (counted[1] - counted[0]) / 2 <= 20, counted
    assert counted[0] <= 60, counted
    assert set(due(globex).values()) == {7}


# -- over HTTP ----------------------------------------------------------------------------------------------------------------


@pytest.fixture
def customers(portal):
    scripted.world.assets = {"shop": [finding("a", Severity.CRITICAL), finding("b")], "api": [finding("c", Severity.CRITICAL)]}
    made = [make_customer("Acme"), make_customer("Globex")]
    for customer in made:
        app = portal.extensions["stockade"]
        syncing.sync(app, syncing.connected(app, Scope(customer.id)))
    return made


OURS = {"critical": 7, "high": 30, "medium": 90, "low": None, "workingDays": False}


def test_a_policy_that_is_sent_back_changes_nothing(portal, customers):
    admin = signed_in_client(portal, "customer_admin", customer=customers[0])
    assert admin.get("/api/sla-policy").get_json() == {"policy": None, "groups": []}
    group = AssetGroup.create(id="grp_jewels", customer_id=customers[0].id, name="Jewels", created_at=1, updated_at=1)
    body = {"policy": OURS, "groups": [{**OURS, "critical": 2, "high": None, "workingDays": True, "groupId": group.id}]}
    answer = admin.put("/api/sla-policy", json=body)
    assert (answer.status_code, answer.get_json()) == (200, body)
    assert admin.put("/api/sla-policy", json=admin.get("/api/sla-policy").get_json()).get_json() == body
    event = AuditEvent.select().where(AuditEvent.action == "sla.changed").get()
    assert (event.customer_id, event.details["policies"][0]["critical"]) == (customers[0].id, 7)
    other = signed_in_client(portal, "customer_admin", customer=customers[1])
    assert other.get("/api/sla-policy").get_json() == {"policy": None, "groups": []}
    assert set(due(Scope(customers[1].id)).values()) == {None}


@pytest.mark.parametrize("body", [
    {}, {"policy": []}, {"policy": {"critical": 0}}, {"policy": {"critical": 4000}}, {"policy": {"critical": "7"}},
    {"policy": {"high": 1.5}}, {"policy": {"info": 7}}, {"policy": OURS, "groups": [OURS]},
    {"policy": OURS, "groups": [{**OURS, "groupId": "grp_unknown"}]},
    {"policy": None, "groups": [{**OURS, "groupId": "grp_twice"}] * 2}], ids=str)
def test_a_policy_that_makes_no_sense_is_refused(portal, customers, body):
    AssetGroup.create(id="grp_twice", customer_id=customers[0].id, name="Twice", created_at=1, updated_at=1)
    admin = signed_in_client(portal, "customer_admin", customer=customers[0])
    answer = admin.put("/api/sla-policy", json=body)
    assert answer.status_code == 400
    assert answer.get_json()["details"]
    assert SlaPolicy.select().count() == 0


def test_who_may_change_policies(portal, customers):
    ours = customers[0]
    headers = {"x-customer-id": ours.id}
    for role, status in (("msp_admin", 200), ("msp_analyst", 403), ("customer_admin", 200), ("customer_viewer", 403)):
        client = signed_in_client(portal, role, customer=ours)
        assert client.get("/api/sla-policy", headers=headers).status_code == 200
        assert client.put("/api/sla-policy", json={"policy": OURS}, headers=headers).status_code == status
    user = make_user("customer_admin", customer=ours)
    GroupLimit.create(customer_id=ours.id, user_id=user.id, group_id=AssetGroup.get(AssetGroup.customer_id == ours.id).id)
    assert signed_in_client(portal, user=user).put("/api/sla-policy", json={"policy": None}).status_code == 403


def test_breaches_are_shown_in_all_places_alike(portal, customers, statements):
    ours = customers[0]
    admin = signed_in_client(portal, "customer_admin", customer=ours)
    assert admin.get("/api/dashboard/overview/sla").get_json() == {"breaches": 0}
    seen_days_ago(10)
    admin.put("/api/sla-policy", json={"policy": OURS})
    with statements() as executed:
        answer = admin.get("/api/dashboard/overview/sla")
    assert answer.get_json() == {"breaches": 2}
    assert len(executed) <= 8
    again = admin.get("/api/dashboard/overview/sla", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    listed = admin.get("/api/findings?breached=true").get_json()
    assert ([entry["sourceKey"] for entry in listed["findings"]], listed["count"]["value"]) == (["c", "a"], 2)
    entry = listed["findings"][0]
    assert entry["isBreached"] is True
    assert clock.from_iso(entry["dueAt"]) < clock.now()
    assert admin.get(f"/api/findings/{entry['id']}").get_json()["dueAt"] == entry["dueAt"]
    rest = admin.get("/api/findings?breached=false").get_json()["findings"]
    assert [(entry["sourceKey"], entry["isBreached"]) for entry in rest] == [("b", False)]
    admin.post("/api/verdicts", json={"verdict": "accepted", "reason": "Known", "filter": {"breached": True}})
    assert admin.get("/api/dashboard/overview/sla").get_json() == {"breaches": 0}
    other = signed_in_client(portal, "customer_admin", customer=customers[1])
    assert other.get("/api/dashboard/overview/sla").get_json() == {"breaches": 0}
    staff = signed_in_client(portal, "msp_admin")
    assert staff.get("/api/dashboard/overview/sla", headers={"x-customer-id": ours.id}).status_code == 400


def test_findings_are_listed_by_how_soon_they_are_due(portal, customers):
    admin = signed_in_client(portal, "customer_admin", customer=customers[0])
    admin.put("/api/sla-policy", json={"policy": OURS})
    due = {entry["sourceKey"]: clock.from_iso(entry["dueAt"]) // clock.DAY for entry in admin.get("/api/findings").get_json()["findings"]
           if entry["dueAt"]}
    soonest = min(due.values()) - clock.now() // clock.DAY
    assert len(set(due.values())) > 1
    listed = admin.get(f"/api/findings?dueWithin={soonest}").get_json()["findings"]
    assert {entry["sourceKey"] for entry in listed} == {key for key, day in due.items() if day == min(due.values())}
    assert admin.get(f"/api/findings?dueWithin={soonest - 1}").get_json()["findings"] == []
    assert admin.get("/api/findings?dueWithin=-1").status_code == 400
    other = signed_in_client(portal, "customer_admin", customer=customers[1])
    assert other.get("/api/findings?dueWithin=3650").get_json()["findings"] == []


def test_breaches_count_what_the_asker_sees(portal, customers):
    ours = customers[0]
    scope = Scope(ours.id)
    sla.replace(scope, [WEEK], actor="anna")
    seen_days_ago(10)
    sla.replace(scope, [Policy(None, critical=6)], actor="anna")
    user = make_user("customer_viewer", customer=ours)
    shop = Asset.get(Asset.customer_id == ours.id, Asset.external_key == "shop")
    group = AssetGroup.create(id="grp_shop", customer_id=ours.id, name="Shop", created_at=1, updated_at=1)
    GroupMember.create(customer_id=ours.id, group=group, asset=shop, added_at=1)
    GroupLimit.create(customer_id=ours.id, user_id=user.id, group_id=group.id)
    assert signed_in_client(portal, user=user).get("/api/dashboard/overview/sla").get_json() == {"breaches": 1}
    assert kernel.breaches(scope, day_of(clock.now())) == 2
    Asset.update(pruned_at=1).where(Asset.id == shop.id).execute()
    assert kernel.breaches(scope, day_of(clock.now())) == 1
    assert kernel.breaches(Scope(ours.id, hidden_sources=frozenset({"scripted"})), day_of(clock.now())) == 0
