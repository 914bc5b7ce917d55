"""What a pull brings of one project: which scans speak for it, which results count, and how many calls they take."""

import json
import tracemalloc
from collections import Counter

import pytest
from flask import request

from core import clock
from core.hooks.contracts import Severity, SourceState, Unmapped
from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, PullIncomplete, UpstreamUnavailable
from core.testing.standin import StandInProcess
from plugins.checkmarx.client import ProjectForbidden
from plugins.checkmarx.upstream import (
    TENANTS,
    TODAY,
    Credential,
    Project,
    Result,
    Scan,
    World,
    create_app,
    default_world,
    many_results,
)
from tests.plugins.checkmarx.conftest import CLIENT, SECRET, everything_of
from tests.plugins.checkmarx.results import P1, S1, S2, S3, container, kics, project, risk, sast, sca, secret

EARLIER, BEFORE = TODAY - 7 * clock.DAY, TODAY - 30 * clock.DAY
OF_ALL = (sast("a"), sca("CVE-2031-40417"), kics("k"), container("CVE-2031-10007"), secret("s"))
KEYS_OF_ALL = {"sast:a", "sca:CVE-2031-40417:Npm-examplehdr-2.3.0", "kics:sim-k", "sscs-secret-detection:s",
               "containers:CVE-2031-10007:libuuid1:2.38:registry.example/api:1.14.0"}


def ran(*engines: str, **others: str) -> dict[str, str]:
    return {**dict.fromkeys(engines, "Completed"), **others}


# -- which scan speaks ------------------------------------------------------------------------------------------------------------


def test_results_of_every_engine_arrive(pull_of, findings_of):
    found = findings_of(pull_of(World.of(project(Scan.holding(S1, *OF_ALL)))), P1)
    assert set(found) == KEYS_OF_ALL
    assert Counter(finding.category for finding in found.values()) == dict.fromkeys(("sast", "sca", "iac", "container", "secret"), 1)


def test_the_newest_completed_scan_counts_and_not_one_that_runs_or_failed(pull_of, findings_of):
    scans = [Scan.holding(S1, sast("old"), created=BEFORE), Scan.holding(S2, sast("new"), created=EARLIER),
             Scan.holding(S3, status="Running", created=TODAY)]
    for status in ("Running", "Failed", "Canceled", "Queued"):
        scans[2].status = status
        assert set(findings_of(pull_of(World.of(project(*scans))), P1)) == {"sast:new"}


def test_the_main_branch_goes_first_and_where_none_is_named_the_newest_scan(pull_of, findings_of):
    scans = [Scan.holding(S1, sast("main"), created=EARLIER), Scan.holding(S2, sast("feature"), created=TODAY, branch="feature/x")]
    for only_main in (False, True):
        for main_branch, expected in (("main", "sast:main"), ("", "sast:feature"), ("trunk", "sast:feature")):
            held = World.of(project(*scans, main_branch=main_branch))
            held.only_main_branch = only_main
            assert set(findings_of(pull_of(held), P1)) == {expected}


def test_each_engine_is_told_by_the_newest_scan_in_which_it_completed(pull_of, findings_of):
    """Today's pipeline ran SAST alone; nothing of the other engines is to be closed."""
    whole = Scan.holding(S1, sast("old"), *OF_ALL[1:], created=EARLIER)
    today = Scan.holding(S2, sast("new"), created=TODAY, engines=ran("sast"))
    held = World.of(project(whole, today))
    assert set(findings_of(pull_of(held), P1)) == {"sast:new"} | {key for key in KEYS_OF_ALL if not key.startswith("sast")}
    assert held.calls["results"] == 2


@pytest.mark.parametrize("status", ["Completed", "Partial"])
def test_an_engine_that_failed_is_told_by_an_older_scan(pull_of, findings_of, status):
    before = Scan.holding(S1, container("CVE-2031-10007"), created=EARLIER)
    today = Scan.holding(S2, sast("new"), created=TODAY, status=status, engines=ran("sast", "sca", containers="Failed"))
    assert set(findings_of(pull_of(World.of(project(before, today))), P1)) == {
        "sast:new", "containers:CVE-2031-10007:libuuid1:2.38:registry.example/api:1.14.0"}


def test_an_engine_that_completed_and_found_nothing_any_more_says_so(pull_of, findings_of):
    scans = [Scan.holding(S1, *OF_ALL, created=EARLIER), Scan.holding(S2, sast("a"), created=TODAY)]
    assert set(findings_of(pull_of(World.of(project(*scans))), P1)) == {"sast:a"}


def test_results_of_an_engine_that_nobody_knows_yet_come_from_the_newest_scan(pull_of, findings_of):
    new = Result("aisc", "model-1", severity="LOW", data={"fileName": "/model.bin"})
    scans = [Scan.holding(S1, sca("CVE-2031-40417"), new, created=EARLIER),
             Scan.holding(S2, new, created=TODAY, engines=ran("sast"))]
    found = findings_of(pull_of(World.of(project(*scans))), P1)
    assert found["aisc:model-1"].category == "aisc"
    assert f"/scans?id={S2}" in found["aisc:model-1"].url


def test_old_container_results_belong_to_the_engine_that_gave_them(pull_of, findings_of):
    old = Result("sca-container", "CVE-2020-26137", data={"packageName": "urllib3", "packageVersion": "1.25.8"})
    found = findings_of(pull_of(World.of(project(Scan.holding(S1, old, engines=ran("sca"))))), P1)
    assert set(found) == {"sca-container:CVE-2020-26137:urllib3:1.25.8"}


def test_a_project_without_any_scan_has_nothing_to_tell(pull_of):
    assert everything_of(pull_of(World.of(project())), P1) == []


@pytest.mark.parametrize("status", ["Running", "Failed", "Canceled"])
def test_a_project_of_which_no_scan_is_finished_closes_nothing(pull_of, status):
    (told,) = everything_of(pull_of(World.of(project(Scan.holding(S1, status=status)))), P1)
    assert told == Unmapped(f"No scan of project '{P1}' is finished")


# -- which results count ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("state", "expected", "told"), [
    ("TO_VERIFY", SourceState.OPEN, "TO_VERIFY"), ("CONFIRMED", SourceState.OPEN, "CONFIRMED"), ("URGENT ", SourceState.OPEN, "URGENT"),
    ("PROPOSED_NOT_EXPLOITABLE", SourceState.OPEN, "PROPOSED_NOT_EXPLOITABLE"), ("Accepted Risk", SourceState.OPEN, "Accepted Risk"),
    ("NOT_EXPLOITABLE", SourceState.FALSE_POSITIVE, "NOT_EXPLOITABLE"), ("NotExploitable", SourceState.FALSE_POSITIVE, "NOT_EXPLOITABLE"),
])
def test_the_state_is_kept_in_the_source_s_word_and_only_not_exploitable_is_closed(pull_of, findings_of, state, expected, told):
    finding = findings_of(pull_of(World.of(project(Scan.holding(S1, sast("a", state=state))))), P1)["sast:a"]
    assert (finding.state, finding.source_status) == (expected, told)


def test_one_advisory_in_several_packages_and_images_is_several_findings(pull_of, findings_of):
    scan = Scan.holding(S1, sca("CVE-2031-40417"), sca("CVE-2031-40417", "Npm-other-1.0.0"), container("CVE-2031-10007"),
                        container("CVE-2031-10007", tag="1.15.0"))
    assert len(findings_of(pull_of(World.of(project(scan))), P1)) == 4


def test_results_that_share_even_their_natural_key_are_not_merged(pull_of, findings_of):
    held = World.of(project(Scan.holding(S1, kics("1", similarity="same"), kics("2", similarity="same"))))
    first, second = (set(findings_of(pull_of(held), P1)) for _ in range(2))
    assert first == second == {"kics:same", "kics:same#2"}


def test_a_record_that_cannot_be_read_is_told_with_its_key(pull_of):
    scan = Scan.holding(S1, kics("bad", severity="TERRIBLE"), kics("good"), Result("sca", "CVE-2031-40417"))
    told = everything_of(pull_of(World.of(project(scan))), P1)
    unmapped = {entry.source_key: entry.reason for entry in told if isinstance(entry, Unmapped)}
    assert set(unmapped) == {"kics:sim-bad", None}
    assert [entry.source_key for entry in told if not isinstance(entry, Unmapped)] == ["kics:sim-good"]


# -- API security -------------------------------------------------------------------------------------------------------------------


def test_an_api_risk_that_is_a_sast_result_counts_once_and_is_linked(pull_of, findings_of):
    own = risk("r2", name="Missing Rate Limit", origin="documentation", severity="low")
    scan = Scan.holding(S1, sast("a"), sast("b"), risk("r1", sast="a"), own)
    found = findings_of(pull_of(World.of(project(scan))), P1)
    assert set(found) == {"sast:a", "sast:b", "apisec:Missing Rate Limit:GET:/payments/{id}"}
    assert (found["sast:a"].details["api"], "api" in found["sast:b"].details) == ("GET /payments/{id}", False)
    told = found["apisec:Missing Rate Limit:GET:/payments/{id}"]
    assert (told.category, told.severity, told.source_status, told.path) == ("api_security", Severity.LOW, "TO_VERIFY", "/payments/{id}")


def test_api_risks_count_by_themselves_where_no_sast_is_reported(pull_of, findings_of):
    scan = Scan.holding(S1, risk("r1", sast="a"), engines=ran("apisec"))
    assert set(findings_of(pull_of(World.of(project(scan))), P1)) == {"apisec:SQL_Injection:GET:/payments/{id}"}


def test_api_security_that_may_not_be_read_leaves_the_rest_and_closes_nothing(pull_of):
    held = World.of(project(Scan.holding(S1, sast("a"), risk("r1"))))
    pull, came = pull_of(held, {"forbidden": ("/api/apisec",)}), []
    with pytest.raises(ProjectForbidden) as caught:
        came.extend(everything_of(pull, P1))
    assert caught.value.asset_only
    assert caught.value.code == "permission_missing"
    assert everything_of(pull_of(held, {"forbidden": ("/api/apisec",)}, include_api_security=False), P1)[0].source_key == "sast:a"


def test_many_api_risks_are_paged(pull_of, findings_of):
    held = World.of(project(Scan.holding(S1, *(risk(f"r{number}", url=f"/v1/{number}") for number in range(250)))))
    assert len(findings_of(pull_of(held), P1)) == 250
    assert held.calls["apisec/static/api/risks/{}"] == 3


def test_a_scan_that_api_security_does_not_know_has_no_risks(pull_of, findings_of):
    held = World.of(project(Scan.holding(S1, sast("a"))))
    held.faults.add("status", path="apisec/static/api/risks/{}", status=404)
    assert set(findings_of(pull_of(held), P1)) == {"sast:a"}


# -- complete, or a failure -----------------------------------------------------------------------------------------------------------


def large(count: int = 250, page_cap: int | None = 100) -> World:
    """A project whose results take three pages, because the service gives no larger ones."""
    held = World.of(Project(P1, "acme/large", scans=[many_results(P1, count, S1)]))
    held.page_cap = page_cap
    return held


def test_the_offset_of_results_counts_pages_and_nothing_is_lost(pull_of, findings_of):
    held = large(2100, page_cap=None)
    assert len(findings_of(pull_of(held), P1)) == 2100
    assert held.calls["results"] == 3


def test_a_service_that_caps_its_pages_is_read_in_such_pages(pull_of, findings_of):
    held = large()
    assert len(findings_of(pull_of(held), P1)) == 250
    assert held.calls["results"] == 3


@pytest.mark.parametrize("after", [0, 1, 2])
@pytest.mark.parametrize(("kind", "failure"), [("cut", AnswerInvalid), ("cut_json", AnswerInvalid), ("empty_page", PullIncomplete),
                                               ("html", UpstreamUnavailable), ("status", UpstreamUnavailable)])
def test_results_cut_short_raise(pull_of, kind, failure, after):
    held = large()
    held.faults.add(kind, path="results", after=after)
    with pytest.raises(failure) as caught:
        everything_of(pull_of(held), P1)
    assert caught.value.asset_only


def test_results_that_move_are_read_once_more(pull_of, findings_of):
    held = large()
    held.faults.add("drift", path="results", after=1, times=1)
    assert len(findings_of(pull_of(held), P1)) == 250


def test_results_that_keep_moving_are_never_called_complete(pull_of):
    held = large()
    held.faults.add("drift", path="results")
    with pytest.raises(PullIncomplete, match="248 came of 250"):
        everything_of(pull_of(held), P1)


def test_a_result_that_the_service_holds_twice_does_not_make_a_pull_incomplete(pull_of, findings_of):
    """It stands on the first page and on the second; a second reading that says the same proves that nothing moved."""
    twice, others = kics("same"), [sast(f"{number}", severity="MEDIUM") for number in range(999)]
    held = World.of(project(Scan.holding(S1, twice, *others, twice)))
    assert len(findings_of(pull_of(held), P1)) == 1000
    assert held.calls["results"] == 4


@pytest.mark.parametrize("kind", ["null", "unpublished"])
def test_results_that_are_not_published_yet_are_no_empty_scan(pull_of, kind):
    held = World.of(project(Scan.holding(S1, sast("a"))))
    held.faults.add(kind, path="results")
    with pytest.raises(PullIncomplete, match="not published yet: 0 came of 1"):
        everything_of(pull_of(held), P1)


def test_a_scan_that_found_nothing_is_empty(pull_of):
    held = World.of(project(Scan.holding(S1)))
    assert everything_of(pull_of(held), P1) == []
    held.faults.add("unpublished", path="results")  # some answer 404 for it
    assert everything_of(pull_of(held), P1) == []


def test_a_scan_that_is_deleted_meanwhile_closes_nothing(pull_of):
    held = World.of(project(Scan.holding(S1, sast("a"))))
    pull = pull_of(held)
    (asset, *_) = pull.catalog()
    held.tenants["acme"].projects[P1].scans.clear()
    with pytest.raises(PullIncomplete, match="not there any more"):
        list(pull.findings(asset))


def test_a_project_that_vanishes_meanwhile_is_left_alone(pull_of):
    held = large()
    held.faults.add("vanish", path="results", what=P1, after=1, times=1)
    with pytest.raises((NotThere, PullIncomplete)):
        everything_of(pull_of(held), P1)


def test_a_project_whose_results_are_refused_is_left_alone(pull_of):
    with pytest.raises(ProjectForbidden):
        everything_of(pull_of(large(5), {"forbidden": ("/api/results",)}), P1)


def test_tokens_that_end_in_the_middle_do_not_end_the_pull(pull_of, findings_of):
    held = large()
    held.faults.add("expire", path="results", after=1, times=1)
    assert len(findings_of(pull_of(held), P1)) == 250


def test_a_credential_that_is_revoked_in_the_middle_ends_the_pull(pull_of):
    held = large()
    held.faults.add("revoke", path="results", after=1, times=1)
    with pytest.raises(LoginRejected):
        everything_of(pull_of(held), P1)


@pytest.mark.parametrize("retry_after", ["0", ""])
def test_rate_limits_are_waited_for(pull_of, findings_of, retry_after):
    held = large()
    held.faults.add("status", path="results", after=1, times=1, status=429, retry_after=retry_after)
    assert len(findings_of(pull_of(held), P1)) == 250


# -- rules ----------------------------------------------------------------------------------------------------------------------------


def test_texts_of_queries_come_from_the_service_and_of_others_from_their_results(pull_of, findings_of):
    held = default_world()
    pull = pull_of(held)
    shop = next(asset for asset in pull.catalog() if asset.name == "northwind/storefront-web")
    rules = {finding.rule for finding in findings_of(pull, shop.key).values() if finding.rule}
    texts = {rule.key: rule for rule in pull.rules(sorted(rules))}
    assert set(texts) == rules
    sql = next(text for text in texts.values() if text.name == "SQL Injection" and text.key.startswith("sast:"))
    assert "<h2>How to fix it</h2>\n<p>Bind parameters of statements.</p>" in sql.description
    assert held.calls["queries/descriptions"] == 1
    assert next(text for key, text in texts.items() if key.startswith("kics:")).description.startswith("<p>")


def test_rules_without_a_text_are_left_out(pull_of):
    pull = pull_of(World.of(project()))
    assert list(pull.rules(["sast:1", "kics:unknown"])) == []


def test_a_service_that_takes_one_query_at_a_time_is_asked_for_each(pull_answered):
    def text():
        query = request.args["ids"]
        return [{"queryId": query, "queryName": f"Query_{query}", "risk": "<b>"}]

    rules = {rule.key: rule for rule in pull_answered({"/api/queries/descriptions": text}).rules(["sast:1", "sast:2", "sast:3"])}
    assert set(rules) == {"sast:1", "sast:2", "sast:3"}
    assert rules["sast:2"].name == "Query 2"
    assert "<b>" not in rules["sast:2"].description


# -- how many calls -------------------------------------------------------------------------------------------------------------------


def test_ten_thousand_results_take_ten_calls_and_a_score_for_everything_else(pull_of):
    held = large(10_000, page_cap=None)
    pull = pull_of(held)
    assert sum(1 for asset in pull.catalog() for _ in pull.findings(asset)) >= 10_000
    assert held.calls["results"] == 10
    assert held.calls.total() == 10 + 1 + 1 + 6 + 1 + 1  # token, projects, newest scans by engine, API risks, environments


def test_the_demo_takes_few_calls_for_each_project(serve, open_at):
    held = default_world()
    url, found = serve(create_app(held)), 0
    for tenant in TENANTS:
        held.admit_client(Credential(tenant, "me", "secret-of-the-client"))
        pull = open_at(url=url, tenant=tenant, client_id="me", client_secret="secret-of-the-client")
        found += sum(1 for asset in pull.catalog() for _ in pull.findings(asset))
    assert (found, held.calls.total()) == (1265, 62)


def test_memory_does_not_grow_with_the_findings(open_at):
    """The stand-in is a process of its own, so that its memory does not count."""
    secrets = {"STANDIN_TOKENS": json.dumps(dict.fromkeys(TENANTS, SECRET))}
    with StandInProcess("plugins.checkmarx.upstream", ["--projects", "3", "--results", "4600", "--largest", "3500"], secrets) as server:
        peaks = {}
        for tenant in TENANTS:
            pull = open_at(url=server.url, tenant=tenant, client_id=CLIENT, client_secret=SECRET, coverage="projects")
            asset = next(pull.catalog())
            tracemalloc.start()
            found = sum(1 for _ in pull.findings(asset))
            peaks[found] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    most, least = sorted(peaks, reverse=True)
    assert most > 3500 > 1500 > least > 1000  # a page of both is full
    assert peaks[most] < 1.5 * peaks[least]
