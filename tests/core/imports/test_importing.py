"""What an uploaded report does to what is stored, on both databases."""

import json
from typing import Any

import pytest

from core.access.models import GroupLimit
from core.assets.models import Asset, AssetGroup, GroupMember
from core.audit.models import AuditEvent
from core.connections import engine, runs
from core.connections.models import Connection, Run, RunChange
from core.db import db
from core.errors import NotFound
from core.files import FileStore
from core.findings import rollups
from core.findings.models import Finding, FindingEvent, Rule
from core.imports import jobs, service
from core.imports.kept import Kept
from core.imports.report import on_disk
from core.imports.request import Received, Request, own_group_id, owner_id
from core.scope import Scope
from tests.factories import bearer, make_customer, make_token, make_user
from tests.syncing import states

HALF = 40


def sarif(*names: str, level: str = "error", tool: str = "Acme") -> bytes:
    """A report with a finding for each name, told apart by its fingerprint."""
    results = [{"ruleId": "R1", "level": level, "message": {"text": f"Finding {name}"}, "fingerprints": {"v1": name},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": f"{name}.py"}}}]} for name in names]
    rules = [{"id": "R1", "shortDescription": {"text": "A fault"}, "help": {"text": "Mend it"}}]
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": tool, "rules": rules}}, "results": results}]}).encode()


def by_path(scope: Scope) -> dict[str, str]:
    """Effective state of each finding by its file."""
    return dict(Finding.select(Finding.path, Finding.status).where(Finding.customer_id == scope.customer_id).tuples())


def all_rows() -> dict[str, list[Any]]:
    """Everything that an import could write."""
    tables = (Asset, AssetGroup, GroupMember, Finding, FindingEvent, Rule, Run, RunChange, AuditEvent, Connection)
    return {table.__name__: sorted(map(str, table.select().tuples())) for table in tables}


def test_a_report_is_stored_as_a_run_with_counts_history_and_totals(send, scope):
    told = send(sarif("a", "b"), asset="shop")
    run = Run.get_by_id(told["run"]["id"])
    assert (run.state, run.trigger, run.phase, run.done, run.of_how_many) == ("succeeded", "import", "done", 2, 2)
    assert (told["format"], told["run"]["counts"]["added"], told["preview"]) == ("sarif", 2, None)
    asset = Asset.get()
    assert (asset.name, asset.source, asset.kind, asset.open_high, asset.findings_total) == ("shop", "sarif", "report", 2, 2)
    assert asset.synced_at is not None
    assert by_path(scope) == {"a.py": "open", "b.py": "open"}
    assert Rule.get().name == "A fault"
    assert [event.action for event in AuditEvent.select().where(AuditEvent.target == run.id).order_by(AuditEvent.id)] == [
        "run.requested", "report.received", "run.finished"]


def test_an_imports_assets_count_in_the_totals_through_a_group_of_their_own(send, scope, client, headers):
    send(sarif("a"), asset="shop")
    group = AssetGroup.get_by_id(own_group_id(scope.customer_id))
    assert (group.name, GroupMember.select().count()) == ("Imported reports", 1)
    assert client.get("/api/manage-assets", headers=headers).get_json()["applicationCodeSecurity"]["high"] == 1
    send(sarif("a"), asset="shop", dryRun="true", expect=200)
    GroupMember.delete().execute()
    group.delete_instance()
    send(sarif("a", "b"), asset="shop")
    assert AssetGroup.select().count() == 0  # nothing new needed it
    send(sarif("a"), asset="bank")
    assert GroupMember.select().count() == 1


def test_new_assets_join_the_group_that_is_named(send, scope):
    group = AssetGroup.create(id="grp_mine", customer_id=scope.customer_id, name="Mine", created_at=1, updated_at=1)
    send(sarif("a"), asset="shop", group=group.id)
    assert [member.group_id for member in GroupMember.select()] == [group.id]
    assert send(sarif("a"), asset="shop", group="grp_none", expect=400)["details"] == {"group": ["There is no such asset group."]}


def test_a_second_report_closes_what_it_does_not_mention_and_reopens_what_returns(send, scope):
    send(sarif("a", "b"), asset="shop")
    first_seen = Finding.get(Finding.path == "b.py").first_seen_at
    assert send(sarif("a"), asset="shop")["run"]["counts"]["closed"] == 1
    assert by_path(scope) == {"a.py": "open", "b.py": "gone"}
    assert send(sarif("a", "b"), asset="shop")["run"]["counts"]["reopened"] == 1
    row = Finding.get(Finding.path == "b.py")
    assert (row.status, row.first_seen_at) == ("open", first_seen)
    assert [event.kind for event in FindingEvent.select().where(FindingEvent.finding_id == row.id).order_by(FindingEvent.id)] == [
        "closed", "reopened"]
    assert rollups.check() == []


def test_a_report_of_a_tool_that_did_not_get_to_look_closes_nothing(send, scope):
    send(sarif("a", "b"), asset="shop")
    told = send(json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "Acme"}}, "results": None}]}), asset="shop")
    assert (told["run"]["state"], told["run"]["counts"]["unmapped"], told["run"]["counts"].get("closed", 0)) == ("succeeded", 1, 0)
    assert by_path(scope) == {"a.py": "open", "b.py": "open"}
    preview = send(json.dumps({"version": "2.1.0", "runs": [{"tool": {}}]}), asset="shop", dryRun="true", expect=200)["preview"]
    assert preview["closes"]["count"] == 0
    assert send(sarif(), asset="shop")["run"]["counts"]["closed"] == 2


def test_an_identical_report_changes_nothing(send):
    send(sarif("a", "b"), asset="shop")
    before = list(Finding.select().order_by(Finding.id).dicts()), list(Rule.select().dicts()), list(GroupMember.select().dicts())
    assert send(sarif("a", "b"), asset="shop")["run"]["counts"]["unchanged"] == 2
    assert (list(Finding.select().order_by(Finding.id).dicts()), list(Rule.select().dicts()), list(GroupMember.select().dicts())) == before
    assert FindingEvent.select().count() == 0


def test_a_report_of_one_asset_leaves_the_others_alone(send, scope):
    send(sarif("a", "b"), asset="shop")
    send(sarif("c"), asset="bank")
    assert by_path(scope) == {"a.py": "open", "b.py": "open", "c.py": "open"}
    assert {asset.name for asset in Asset.select()} == {"shop", "bank"}


def test_a_report_without_findings_closes_those_of_its_asset(send, scope):
    send(sarif("a"), asset="shop")
    assert send(sarif(), asset="shop")["run"]["counts"]["closed"] == 1
    assert by_path(scope) == {"a.py": "gone"}


def test_a_report_that_would_close_unusually_much_is_held_until_somebody_decides(send, scope, deployment, client, headers):
    names = [f"f{number}" for number in range(HALF)]
    send(sarif(*names), asset="shop")
    told = send(sarif("f0"), asset="shop", expect=202)
    assert (told["run"]["state"], told["run"]["plan"]["closes"]) == ("held", HALF - 1)
    assert set(by_path(scope).values()) == {"open"}
    send(sarif("other"), asset="bank")  # another asset's report does not make it out of date
    assert Run.get_by_id(told["run"]["id"]).state == "held"
    assert client.post(f"/api/runs/{told['run']['id']}/approve", headers=headers).status_code == 202
    jobs.execute_import(told["run"]["id"])
    assert list(by_path(scope).values()).count("gone") == HALF - 1
    assert Run.get_by_id(told["run"]["id"]).state == "succeeded"
    assert rollups.check() == []


def test_a_newer_report_of_the_same_asset_makes_a_held_one_out_of_date(send):
    names = [f"f{number}" for number in range(HALF)]
    send(sarif(*names), asset="shop")
    held = send(sarif("f0"), asset="shop", expect=202)["run"]["id"]
    send(sarif(*names), asset="shop")
    assert (Run.get_by_id(held).state, RunChange.select().count()) == ("discarded", 0)


def test_the_assets_of_a_report_are_followed_when_none_is_named(send):
    table = "asset,title,severity,key\nshop,A,high,1\nbank,B,low,2\n"
    send(table, name="findings.csv")
    assert {(asset.name, asset.findings_total) for asset in Asset.select()} == {("shop", 1), ("bank", 1)}
    send(table, asset="all")
    assert Asset.get(Asset.name == "all").findings_total == 2


def test_the_files_name_is_the_asset_when_nobody_says_better(send):
    for name in ("shop.sarif", "builds/shop.sarif.json", "SHOP.SARIF", "com.acme.shop.v2.json", ".sarif"):
        send(sarif("a"), name=name)
    assert {asset.name for asset in Asset.select()} == {"shop", "SHOP", "com.acme.shop.v2", ".sarif"}


def test_the_files_name_is_told_with_its_run_and_never_as_a_path(send, client, headers):
    names = ["../../etc/builds/semgrep.sarif", "", "a" * 300 + ".sarif"]
    for name in names:
        send(sarif("a"), name=name, asset="shop")
    listed = client.get("/api/imports", headers=headers).get_json()["imports"]
    assert [run["fileName"] for run in reversed(listed)] == ["semgrep.sarif", "", "a" * 200]
    assert client.get(f"/api/runs/{listed[-1]['id']}", headers=headers).get_json()["fileName"] == "semgrep.sarif"


def test_without_any_name_the_asset_has_to_be_named(send):
    told = send(sarif("a"), expect=400)
    assert "name the asset" in told["error"]
    assert Run.select().count() == 0


def test_a_key_that_stands_in_a_report_twice_is_one_finding_with_its_last_words(send):
    send("title,severity,key\nA,low,1\nB,low,2\nA again,high,1\n", asset="shop")
    assert [(finding.source_key, finding.title) for finding in Finding.select().order_by(Finding.id)] == [("1", "A again"), ("2", "B")]
    assert send("title,severity,key\nA,low,1\nB,low,2\nA again,high,1\n", asset="shop")["run"]["counts"]["unchanged"] == 2


def test_a_dry_run_tells_what_would_happen_and_writes_nothing(send):
    send(sarif("a", "b", "gone"), asset="shop")
    send(sarif("a", "b"), asset="shop")
    before = all_rows()
    report = sarif("b", "gone", "new", level="note")
    told = send(report, asset="shop", dryRun="true", expect=200)["preview"]
    assert all_rows() == before
    counted = {what: (told[what]["count"], [found["path"] for found in told[what]["first"]])
               for what in ("opens", "closes", "reopens", "changes")}
    assert counted == {"opens": (1, ["new.py"]), "closes": (1, ["a.py"]), "reopens": (1, ["gone.py"]), "changes": (1, ["b.py"])}
    opened, changed = told["opens"]["first"][0], told["changes"]["first"][0]
    assert (opened["id"], opened["asset"], opened["severity"], opened["title"]) == ("", "shop", "low", "A fault")
    assert (changed["changes"]["severity"], changed["id"][:4]) == ([3, 1], "fnd_")
    assert (told["isHeld"], told["counts"]["unchanged"]) == (False, 0)
    done = send(report, asset="shop")["run"]["counts"]
    assert (done["added"], done["closed"], done["reopened"], done["changed"]) == (1, 1, 1, 1)


def test_a_dry_run_of_a_first_report_writes_nothing_either_and_names_a_hundred(send):
    before = all_rows()
    told = send(sarif(*(f"f{number}" for number in range(250))), asset="shop", dryRun="true", expect=200)["preview"]
    assert (told["opens"]["count"], len(told["opens"]["first"]), told["closes"]["count"]) == (250, 100, 0)
    assert all_rows() == before


def test_a_dry_run_tells_when_it_would_be_held(send):
    send(sarif(*(f"f{number}" for number in range(HALF))), asset="shop")
    told = send(sarif(), asset="shop", dryRun="true", expect=200)["preview"]
    assert (told["isHeld"], told["closes"]["count"], told["plan"]["closes"]) == (True, HALF, HALF)


def test_who_would_rather_not_wait_is_told_where_to_look(client, headers, deployment, scope):
    answer = client.post("/api/imports?asset=shop", data=sarif("a"), headers={**headers, "Prefer": "respond-async, wait=0"})
    run = answer.get_json()["run"]
    assert (answer.status_code, answer.headers["Location"], run["state"]) == (202, f"/api/runs/{run['id']}", "queued")
    assert deployment.queue.has(f"{run['id']}-0")
    assert Finding.select().count() == 0
    jobs.execute_import(run["id"])
    assert by_path(scope) == {"a.py": "open"}
    assert Run.get_by_id(run["id"]).state == "succeeded"
    with pytest.raises(NotFound):
        Kept(deployment, scope.customer_id, run["id"]).received()  # the report is not kept longer than it is needed


def test_what_is_wrong_with_a_report_that_nobody_waited_for_the_run_tells(client, headers, scope):
    answer = client.post("/api/imports?asset=shop", data=sarif("a", "b")[:-20], headers={**headers, "Prefer": "respond-async"})
    jobs.execute_import(answer.get_json()["run"]["id"])
    run = Run.get_by_id(answer.get_json()["run"]["id"])
    assert (run.state, run.reason_code) == ("failed", "report_invalid")
    assert "cut short (/runs/0/results/1" in run.reason
    assert Finding.select().count() == Asset.select().count() == 0


def test_an_import_that_dies_while_it_is_stored_is_taken_up_again(deployment, scope, monkeypatch):
    """The server is gone after the first batch; another worker finds the report in the file store and starts over."""
    written = engine._count

    def die(*args: Any) -> None:
        written(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_count", die)
    with on_disk(iter([sarif(*(f"f{number}" for number in range(1500)))])) as report, pytest.raises(KeyboardInterrupt):
        service.store(deployment, scope, report, Request(asset="shop"), actor="ada")
    monkeypatch.undo()
    run = Run.get()
    assert (run.state, run.asset_keys) == ("running", ["shop"])
    Run.update(heartbeat_at=1).execute()
    jobs.execute_import(run.id)
    assert Run.get().state == "succeeded"
    assert Finding.select().count() == 1500
    assert {event.actor for event in FindingEvent.select()} <= {"ada"}
    assert rollups.check() == []
    with pytest.raises(NotFound):
        Kept(deployment, scope.customer_id, run.id).received()


def test_an_import_whose_report_never_arrived_whole_fails_and_can_be_sent_again(deployment, scope, send):
    run = runs.recorded(scope.customer_id, owner_id(scope.customer_id, "sarif"), "sarif", trigger="import", requested_by="ada")
    jobs.execute_import(run.id)
    assert (Run.get_by_id(run.id).state, Run.get_by_id(run.id).reason_code) == ("failed", "report_lost")
    send(sarif("a"), asset="shop")


def test_imports_of_one_source_wait_for_each_other_and_then_give_up(deployment, scope, send, client, headers, monkeypatch):
    run = runs.recorded(scope.customer_id, owner_id(scope.customer_id, "sarif"), "sarif", trigger="import", requested_by="ada")
    monkeypatch.setattr(service, "PATIENCE_SECONDS", 0.0)
    answer = client.post("/api/imports?asset=shop", data=sarif("a"), headers=headers)
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "10")
    assert Finding.select().count() == 0
    answer = client.post("/api/imports?asset=shop", data=sarif("a"), headers={**headers, "Prefer": "respond-async"})
    assert answer.status_code == 409
    send("title,severity\nA,low\n", asset="shop")  # another source's lies apart
    Run.update(state="failed").where(Run.id == run.id).execute()
    send(sarif("a"), asset="shop")


def test_two_customers_reports_never_meet(send, scope, whole_app, client):
    other = make_customer("Other")
    theirs = {**bearer(make_token(make_user("customer_admin", customer=other))), "x-customer-id": other.id}
    send(sarif("a", "b"), asset="shop")
    assert client.post("/api/imports?asset=shop", data=sarif("c"), headers=theirs).status_code == 201
    assert by_path(scope) == {"a.py": "open", "b.py": "open"}
    assert by_path(Scope(other.id)) == {"c.py": "open"}
    listed = client.get("/api/imports", headers=theirs).get_json()["imports"]
    assert [run["requestedBy"].split("@")[0] != "" for run in listed] == [True]
    strange = {**theirs, "x-customer-id": scope.customer_id}
    assert client.post("/api/imports?asset=shop", data=sarif("c"), headers=strange).status_code == 403
    group = AssetGroup.create(id="grp_theirs", customer_id=other.id, name="Theirs", created_at=1, updated_at=1)
    send(sarif("a"), asset="shop", group=group.id, expect=400)


def test_somebody_limited_to_groups_imports_into_these_alone(send, scope, customer, client):
    send(sarif("a"), asset="shop")
    group = AssetGroup.create(id="grp_mine", customer_id=scope.customer_id, name="Mine", created_at=1, updated_at=1)
    user = make_user("customer_admin", customer=customer)
    GroupLimit.create(customer_id=customer.id, user_id=user.id, group_id=group.id)
    limited = {**bearer(make_token(user)), "x-customer-id": customer.id}

    def post(asset: str, group_id: str | None, **more: str) -> Any:
        return client.post("/api/imports", query_string={"asset": asset, **({"group": group_id} if group_id else {})}, data=sarif("z"),
                           headers={**limited, **more})
    before = all_rows()
    assert "group" in post("bank", None).get_json()["details"]
    assert post("bank", own_group_id(customer.id)).status_code == 400  # a group that is not shown to him
    assert post("shop", group.id).status_code == 403  # an asset that is not shown to him
    assert all_rows() == before
    assert post("bank", group.id).status_code == 201
    run = post("shop", group.id, Prefer="respond-async").get_json()["run"]["id"]
    jobs.execute_import(run)
    assert Run.get_by_id(run).reason_code == "report_invalid"
    assert by_path(scope) == {"a.py": "open", "z.py": "open"}


def test_imports_are_listed_apart_from_syncs_and_among_all_runs(send, client, headers):
    send(sarif("a"), asset="shop")
    send("title,severity\nA,low\n", asset="shop")
    listed = client.get("/api/imports?limit=1", headers=headers).get_json()
    assert [run["source"] for run in listed["imports"]] == ["csv"]
    rest = client.get("/api/imports", query_string={"cursor": listed["nextCursor"]}, headers=headers).get_json()
    assert ([run["source"] for run in rest["imports"]], rest["nextCursor"]) == (["sarif"], None)
    assert [run["trigger"] for run in client.get("/api/runs", headers=headers).get_json()["runs"]] == ["import", "import"]
    assert client.get("/api/imports?source=sarif&state=failed", headers=headers).get_json()["imports"] == []


@pytest.mark.parametrize("role", ["msp_analyst", "customer_viewer"])
def test_who_only_looks_may_not_import(client, customer, role):
    headers = {**bearer(make_token(make_user(role, customer=customer))), "x-customer-id": customer.id}
    assert client.post("/api/imports?asset=shop", data=sarif("a"), headers=headers).status_code == 403


def test_a_token_of_a_build_needs_one_permission(client, customer):
    token = make_token(make_user("customer_admin", customer=customer), nodes=["import.create"])
    answer = client.post("/api/imports?asset=shop", data=sarif("a"), headers={**bearer(token), "x-customer-id": customer.id})
    assert answer.status_code == 201
    assert client.get("/api/imports", headers={**bearer(token), "x-customer-id": customer.id}).status_code == 403


def test_a_report_comes_as_a_form_as_any_body_or_as_what_curl_calls_a_form(client, headers):
    for kind in ("application/octet-stream", "application/x-www-form-urlencoded", "application/json", "text/plain", None):
        answer = client.post("/api/imports?asset=shop", data=sarif("a"), headers=headers, content_type=kind)
        assert answer.status_code == 201, kind


def test_parameters_may_be_fields_of_the_form(send):
    told = send(sarif("a"), name="x.sarif", asset="shop", dryRun="true", expect=200)
    assert told["preview"]["opens"]["first"][0]["asset"] == "shop"
    assert "colour" in send(sarif("a"), name="x.sarif", colour="red", expect=400)["details"]


def test_a_form_without_the_file_and_a_format_that_nobody_knows_are_refused(client, headers, send):
    answer = client.post("/api/imports", data={"other": "x"}, headers=headers, content_type="multipart/form-data")
    assert (answer.status_code, "file" in answer.get_json()["details"]) == (400, True)
    assert "snyk-cli" in send(sarif("a"), asset="shop", format="word", expect=400)["details"]["format"][0]


def test_a_format_may_be_said(send):
    assert send(sarif("a"), asset="shop", format="sarif")["format"] == "sarif"
    assert send("title,severity\nA,low\n", asset="shop", format="sarif", expect=400)["details"]["place"] == "line 1, column 1"


def test_reports_of_a_plugin_that_is_off_are_not_read_and_its_figures_hide(send, deployment, client, headers):
    page = json.dumps({"paging": {}, "issues": [{"key": "k", "rule": "r", "component": "p:a", "project": "p", "severity": "BLOCKER",
                                                 "type": "BUG", "status": "OPEN", "message": "m"}]})
    send(page, asset="shop")
    assert client.get("/api/manage-assets", headers=headers).get_json()["applicationCodeSecurity"]["critical"] == 1
    deployment.plugins.disable("sonarqube", "test")
    assert client.get("/api/manage-assets", headers=headers).get_json()["applicationCodeSecurity"]["critical"] == 0
    assert "sonarqube" not in send(page, asset="shop", expect=415)["details"]["formats"]


def test_a_report_never_hides_the_text_of_a_rule_from_a_connection_that_can_tell_it(send):
    page = json.dumps({"paging": {}, "issues": [{"key": "k", "rule": "java:S1", "component": "p:a", "project": "p", "severity": "BLOCKER",
                                                 "type": "BUG", "status": "OPEN", "message": "m"}]})
    send(page, asset="shop")
    assert (Finding.get().rule_key, Rule.select().count()) == ("java:S1", 0)


def test_the_report_is_kept_only_as_long_as_it_is_stored(send, deployment, scope, monkeypatch):
    kept, put = [], FileStore.put_stream

    def note(self: FileStore, customer_id: str, key: str, blocks: Any) -> int:
        kept.append(key)
        return put(self, customer_id, key, blocks)

    monkeypatch.setattr(FileStore, "put_stream", note)
    run = send(sarif("a"), asset="shop")["run"]["id"]
    assert kept == [f"imports/{run}/request", f"imports/{run}/report"]
    assert not any(FileStore.of(deployment.settings).exists(scope.customer_id, key) for key in kept)


def test_what_a_worker_needs_survives_the_file_store(deployment, scope):
    kept = Kept(deployment, scope.customer_id, "run_x")
    received = Received(Request("shop", "grp", "sarif"), "ada", "x.sarif", ("g1", "g2"))
    with on_disk(iter([b"body"])) as report:
        kept.put(received, report)
    assert kept.received() == received
    with kept.report("x.sarif") as report, report.open() as stream:
        assert stream.read() == b"body"


def test_states_of_findings_are_what_the_report_says(send, scope):
    send("title,severity,key,state\nA,low,1,open\nB,low,2,fixed\nC,low,3,accepted\nD,low,4,false positive\n", asset="shop")
    assert states(scope) == {"1": "open", "2": "fixed", "3": "accepted", "4": "false_positive"}
    assert not db.in_transaction()
