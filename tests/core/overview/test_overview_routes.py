"""The portal's aggregates as its document has them: fields, header rules, statuses, and a flat number of statements."""

import pytest

from core import clock
from core.access.models import GroupLimit
from core.assets.models import AssetGroup, GroupMember
from core.findings import sla
from core.findings.models import Finding
from core.findings.sla import Policy
from core.hooks.contracts import Severity, SourceState
from core.scope import Scope
from tests import scripted, syncing
from tests.factories import make_customer, make_user, signed_in_client
from tests.scripted import finding

OVERVIEWS = ("/api/manage-assets", "/api/security-overview", "/api/dashboard/overview", "/api/dashboard/overview/sonar")
BLOCK = {"total", "critical", "high", "medium", "low"}


@pytest.fixture
def customers(portal):
    """Two customers with the same findings: an application project and an attacked target."""
    world = scripted.world
    world.kinds = {"target": "scripted_target"}
    world.assets = {
        "shop": [finding("a", Severity.CRITICAL), finding("b", Severity.HIGH), finding("c", Severity.INFO),
                 finding("d", state=SourceState.FIXED)],
        "api": [finding("e", Severity.LOW)],
        "target": [finding("f", Severity.MEDIUM, cwe=(79,), path="https://shop.example/login", description="Reflected")]}
    made = [make_customer("Acme"), make_customer("Globex")]
    deployment = portal.extensions["stockade"]
    for customer in made:
        syncing.sync(deployment, syncing.connected(deployment, syncing.Scope(customer.id)))
    return made


def test_manage_assets_answers_exactly_what_the_document_shows(portal, customers):
    client = signed_in_client(portal, "customer_viewer", customer=customers[0])
    answer = client.get("/api/manage-assets", headers={"x-customer-id": customers[0].id}).get_json()
    assert answer.keys() == {"applicationCodeSecurity", "offensiveSecurity", "offensiveFindings"}
    assert answer["applicationCodeSecurity"] == {"total": 3, "critical": 1, "high": 1, "medium": 0, "low": 1}
    assert answer["offensiveSecurity"] == {"total": 1, "critical": 0, "high": 0, "medium": 1, "low": 0}
    entry = answer["offensiveFindings"][0]
    assert set(entry) == {
        "id", "title", "severity", "description", "source", "category", "createdAt", "cweMappings", "targetUrl", "riskImpact",
        "recommendation", "folderId", "folderPath", "sourceFileName", "syncedAt", "checkmarxProjectId", "checkmarxProjectName"}
    assert (entry["severity"], entry["category"], entry["description"]) == ("Medium", "Offensive Security", "Reflected")
    assert (entry["cweMappings"], entry["targetUrl"], entry["folderId"]) == ("CWE-79", "https://shop.example/login", None)
    assert entry["createdAt"].endswith("Z")
    assert len(answer["offensiveFindings"]) == 1


@pytest.mark.parametrize("header", ["x-customer-id", "x-pacci-customer-id"])
def test_manage_assets_needs_the_header_and_ones_own_organization(portal, customers, header):
    ours, theirs = customers
    viewer = signed_in_client(portal, "customer_viewer", customer=ours)
    refused = viewer.get("/api/manage-assets")
    assert (refused.status_code, refused.get_json()) == (400, {"error": "Missing x-customer-id header"})
    assert viewer.get("/api/manage-assets", headers={header: ours.id}).status_code == 200
    assert viewer.get("/api/manage-assets", headers={header: theirs.id}).status_code == 403
    signed_out = portal.test_client().get("/api/manage-assets", headers={header: ours.id})
    assert (signed_out.status_code, signed_out.get_json()) == (401, {"error": "Unauthorized"})
    staff = signed_in_client(portal, "msp_analyst")
    assert staff.get("/api/manage-assets", headers={header: theirs.id}).status_code == 200
    assert staff.get("/api/manage-assets", headers={header: "cus_unknown"}).status_code == 400


def test_security_overview_has_a_row_for_each_group_and_takes_header_or_session(portal, customers):
    ours, theirs = customers
    shared = AssetGroup.create(id="grp_shared", customer_id=None, name="Everything", created_at=1, updated_at=1)
    for member in list(GroupMember.select()):
        GroupMember.create(customer_id=member.customer_id, group=shared, asset=member.asset_id, added_at=1)
    staff = signed_in_client(portal, "msp_admin")
    refused = staff.get("/api/security-overview")
    assert refused.status_code == 400
    assert "missing organization scope" in refused.get_json()["error"]
    answer = staff.get("/api/security-overview", headers={"x-customer-id": ours.id}).get_json()
    assert {row["name"] for row in answer["groups"]} == {"Everything", "Scripted projects"}
    for row in answer["groups"]:
        assert row["applicationCodeSecurity"].keys() == row["offensiveSecurity"].keys() == BLOCK
        assert (row["applicationCodeSecurity"]["total"], row["offensiveSecurity"]["total"]) == (3, 1)
        assert row["last_updated"] == answer["last_updated"]
    viewer = signed_in_client(portal, "customer_viewer", customer=theirs)
    assert viewer.get("/api/security-overview").status_code == 200
    assert viewer.get("/api/security-overview", headers={"x-customer-id": ours.id}).status_code == 403


def test_the_dashboard_has_every_documented_field_and_adds_up(portal, customers):
    answer = signed_in_client(portal, "customer_viewer", customer=customers[0]).get("/api/dashboard/overview").get_json()
    assert answer.keys() == {
        "scopedToAssetGroups", "assetGroups", "totalLinkedAssets", "vulnerabilitiesOpen", "vulnerabilitiesTotal", "remediated",
        "criticalSeverity", "highSeverity", "mediumSeverity", "lowSeverity", "lastUpdated", "mergeSonar", "donuts", "topAssets"}
    assert (answer["vulnerabilitiesOpen"], answer["remediated"], answer["vulnerabilitiesTotal"]) == (4, 1, 5)
    assert [answer[f"{name}Severity"] for name in ("critical", "high", "medium", "low")] == [1, 1, 1, 1]
    assert (answer["assetGroups"], answer["totalLinkedAssets"], answer["scopedToAssetGroups"], answer["mergeSonar"]) == (1, 3, False, False)
    donuts = answer["donuts"]
    assert donuts["providerMode"] == "full"
    assert donuts["provider"] == [{"key": "scripted", "name": "Scripted", "value": 4, "fill": donuts["provider"][0]["fill"]}]
    assert donuts["severity"][:2] == [{"key": "critical", "name": "Critical", "value": 1, "fill": "#dc2626"},
                                      {"key": "high", "name": "High", "value": 1, "fill": "#ea580c"}]
    assert [asset["name"] for asset in answer["topAssets"]] == ["Shop", "Target", "Api"]


def test_the_dashboards_read_no_header_and_need_an_active_organization(portal, customers):
    ours, theirs = customers
    staff = signed_in_client(portal, "msp_admin")
    for path in ("/api/dashboard/overview", "/api/dashboard/overview/sonar"):
        refused = staff.get(path, headers={"x-customer-id": ours.id})
        assert refused.status_code == 400
        assert "no active organization" in refused.get_json()["error"].lower()
        viewer = signed_in_client(portal, "customer_viewer", customer=ours)
        assert viewer.get(path, headers={"x-customer-id": theirs.id}).get_json() == viewer.get(path).get_json()
        picked = signed_in_client(portal, "msp_admin", active=ours)
        assert picked.get(path).status_code == 200


def test_a_user_limited_to_groups_gets_a_scoped_dashboard(portal, customers):
    ours = customers[0]
    user = make_user("customer_viewer", customer=ours)
    empty = AssetGroup.create(id="grp_empty", customer_id=ours.id, name="Empty", created_at=1, updated_at=1)
    GroupLimit.create(customer_id=ours.id, user_id=user.id, group_id=empty.id)
    answer = signed_in_client(portal, user=user).get("/api/dashboard/overview").get_json()
    assert (answer["scopedToAssetGroups"], answer["donuts"]["providerMode"], answer["assetGroups"]) == (True, "scoped", 1)
    assert (answer["vulnerabilitiesOpen"], answer["totalLinkedAssets"], answer["topAssets"]) == (0, 0, [])


@pytest.mark.parametrize("path", OVERVIEWS)
def test_an_overview_costs_at_most_eight_statements_however_much_there_is(portal, customers, statements, path):
    client = signed_in_client(portal, "msp_admin", active=customers[0])
    headers = {"x-customer-id": customers[0].id}
    client.get(path, headers=headers)
    with statements() as executed:
        assert client.get(path, headers=headers).status_code == 200
    assert len(executed) <= 8, executed


@pytest.mark.parametrize("path", OVERVIEWS)
def test_an_unchanged_overview_is_answered_with_304(portal, customers, path):
    client = signed_in_client(portal, "msp_admin", active=customers[0])
    headers = {"x-customer-id": customers[0].id}
    first = client.get(path, headers=headers)
    again = client.get(path, headers={**headers, "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_a_disabled_plugin_takes_its_figures_out_and_enabling_brings_them_back(portal, customers):
    client = signed_in_client(portal, "msp_admin", active=customers[0])
    before = client.get("/api/dashboard/overview").get_json()
    portal.extensions["stockade"].plugins.disable("scripted", "test")
    without = client.get("/api/dashboard/overview").get_json()
    assert (without["vulnerabilitiesOpen"], without["topAssets"], without["donuts"]["provider"]) == (0, [], [])
    assert client.get("/api/findings").get_json()["findings"] == []
    assert client.post("/api/integrations/scripted/sync").status_code == 404
    portal.extensions["stockade"].plugins.enable("scripted", "test")
    assert client.get("/api/dashboard/overview").get_json() == before


@pytest.mark.parametrize(("figure", "query", "expected"), [
    ("open", {}, {"Shop": 2, "Api": 1, "Target": 1}), ("critical", {}, {"Shop": 1}), ("open", {"discipline": "offsec"}, {"Target": 1}),
    ("open", {"discipline": "appsec"}, {"Shop": 2, "Api": 1}), ("open", {"source": "elsewhere"}, {}),
])
def test_a_figure_is_explained_by_parts_that_add_up_to_it(portal, customers, figure, query, expected):
    client = signed_in_client(portal, "customer_viewer", customer=customers[0])
    answer = client.get("/api/explain", query_string={"figure": figure, **query}).get_json()
    assert {entry["name"]: entry["value"] for entry in answer["assets"]} == expected
    assert answer["value"] == sum(expected.values())
    for entry in answer["assets"]:
        assert [group["customerId"] for group in entry["groups"]] == [customers[0].id]
    if not query:
        overview = client.get("/api/dashboard/overview").get_json()
        assert answer["value"] == overview["vulnerabilitiesOpen" if figure == "open" else f"{figure}Severity"]


def test_what_is_overdue_and_remediated_is_explained_too(portal, customers):
    scope = Scope(customers[0].id)
    client = signed_in_client(portal, "customer_viewer", customer=customers[0])
    Finding.update(first_seen_at=clock.now() - 30 * clock.DAY).where(Finding.customer_id == scope.customer_id).execute()
    sla.replace(scope, [Policy(None, critical=7, high=7, medium=7)], actor="test")
    overdue = client.get("/api/explain?figure=overdue").get_json()
    assert overdue["value"] == sum(entry["value"] for entry in overdue["assets"]) > 0
    assert overdue["value"] == client.get("/api/dashboard/overview/sla").get_json()["breaches"]
    assert {entry["used"] for entry in overdue["assets"]} == {"stored"}
    remediated = client.get("/api/explain?figure=remediated").get_json()
    assert remediated["value"] == client.get("/api/dashboard/overview").get_json()["remediated"] == 1
    offensive = client.get("/api/findings?discipline=offsec").get_json()["findings"]
    assert [entry["asset"]["name"] for entry in offensive] == ["Target"]
    assert client.get("/api/findings?discipline=appsec").get_json()["count"]["value"] == 4
    other = signed_in_client(portal, "customer_viewer", customer=customers[1])
    assert other.get("/api/explain?figure=overdue").get_json()["value"] == 0


def test_a_figure_that_is_not_there_cannot_be_explained(portal, customers):
    client = signed_in_client(portal, "customer_viewer", customer=customers[0])
    assert client.get("/api/explain?figure=everything").status_code == 400
    assert client.get("/api/explain", headers={"x-customer-id": customers[1].id}).status_code == 403
