"""Live totals: the same figures as a sync would store, from few calls, and in time or not at all."""

import threading
import time
from collections import Counter

import pytest

from core import clock
from core.hooks.contracts import LiveCounts, LiveTotals, Severity, SourceState
from core.hooks.failures import ConnectorError, LoginRejected, UpstreamUnavailable
from core.http.upstream import Upstream, UpstreamPolicy
from plugins.checkmarx.connector import CheckmarxConnector
from plugins.checkmarx.live import CheckmarxLive, Memory
from plugins.checkmarx.settings import CheckmarxSettings
from plugins.checkmarx.upstream import TENANTS, TODAY, Credential, Project, Result, Scan, World, create_app, default_world
from tests.plugins.checkmarx.conftest import CLIENT, SECRET
from tests.plugins.checkmarx.results import E1, P1, P2, P3, S1, S2, S3, container, kics, project, risk, sast, sca, secret
from tests.servers import HURRIED, LOOPBACK

RISKS = "apisec/static/api/risks/{}"
#: as core makes clients for live totals: quick, and without second tries
IMPATIENT = UpstreamPolicy(allow=LOOPBACK, connect_timeout=1.0, read_timeout=2.0, retries=0,
                           per_second=10_000.0)


def upstream(base, **options):
    return Upstream(base, IMPATIENT, **options)


@pytest.fixture
def live_of(settings_for):
    """Live counts of some projects of a world."""

    def counted(world, keys, seconds=10.0, rights=None, **settings):
        loaded = CheckmarxSettings().load({**settings_for(world, **(rights or {})), **settings})
        return CheckmarxLive().totals(loaded, upstream, keys, seconds)

    return counted


def test_it_is_what_core_asks_for():
    assert isinstance(CheckmarxLive(), LiveTotals)
    assert CheckmarxLive.source == CheckmarxConnector.source


@pytest.mark.parametrize("tenant", TENANTS)
@pytest.mark.parametrize("with_apis", [True, False])
def test_live_counts_are_those_that_a_sync_stores(serve, tenant, with_apis):
    held = default_world()
    held.admit_client(Credential(tenant, CLIENT, SECRET))
    settings = CheckmarxSettings().load({"url": serve(create_app(held)), "tenant": tenant, "client_id": CLIENT, "client_secret": SECRET,
                                         "include_api_security": with_apis})
    pull = CheckmarxConnector().open(settings, lambda base, **kw: Upstream(base, HURRIED, **kw))
    stored = {}
    for asset in pull.catalog():
        severities = Counter(finding.severity for finding in pull.findings(asset) if finding.state is SourceState.OPEN)
        if asset.kind == "checkmarx_appsec" and asset.attributes.get("engines"):
            stored[asset.key] = LiveCounts(**{severity.name.lower(): severities[severity] for severity in Severity})
    counted = CheckmarxLive().totals(settings, upstream, [*stored, f"dast:{E1}"], 10.0)
    assert counted == stored
    assert sum(counts.critical + counts.high for counts in counted.values()) > 50


def test_eight_projects_take_a_score_of_calls(live_of):
    held = default_world()
    live_of(held, list(held.tenants["northwind"].projects))
    dismissed, risks = held.calls["results"], held.calls[RISKS]
    assert held.calls == {"token": 1, "projects/last-scan": 6, "scan-summary": 1, "results": dismissed, RISKS: risks}
    assert dismissed <= 10
    assert risks <= 8


def test_what_was_asked_of_a_scan_is_remembered_as_long_as_its_sums_stay(settings_for):
    held = World.of(project(Scan.holding(S1, sast("a", state="NOT_EXPLOITABLE"), sast("b"), risk("r", origin="documentation"))))
    settings, live = CheckmarxSettings().load(settings_for(held)), CheckmarxLive()
    for _ in range(3):
        assert live.totals(settings, upstream, [P1], 10.0) == {P1: LiveCounts(high=2)}
    assert (held.calls["results"], held.calls[RISKS]) == (1, 1)
    held.tenants["acme"].projects[P1].scans[0].results[1].state = "NOT_EXPLOITABLE"
    assert live.totals(settings, upstream, [P1], 10.0) == {P1: LiveCounts(high=1)}


def test_what_is_remembered_is_forgotten_after_a_while_and_when_it_is_too_much():
    now = [0.0]
    memory = Memory(most=2, seconds=10.0, now=lambda: now[0])
    for key in ("a", "b", "c"):
        memory.keep(key, Counter({Severity.HIGH: 1}))
    assert [memory.get(key) is None for key in ("a", "b", "c")] == [True, False, False]
    now[0] = 11.0
    assert memory.get("c") is None


def test_projects_with_nothing_dismissed_and_no_apis_take_eight_calls_in_all(live_of):
    projects = [Project(f"{number:08}-0000-4000-8000-000000000000", f"{number}",
                        scans=[Scan.holding(f"{number}", sast("a"), sca("CVE-2031-1111"))]) for number in range(40)]
    held = World.of(*projects)
    counted = live_of(held, [project.id for project in projects])
    assert set(counted.values()) == {LiveCounts(high=2)}
    assert (len(counted), held.calls.total()) == (40, 1 + 6 + 1)


def test_what_somebody_dismissed_is_not_open(live_of):
    scan = Scan.holding(S1, sast("a", severity="CRITICAL", state="NOT_EXPLOITABLE"), sast("b", severity="CRITICAL"), kics("k"),
                        sca("CVE-2031-1111", state="PROPOSED_NOT_EXPLOITABLE"), container("CVE-2031-1", state="Accepted Risk"), secret("s"))
    assert live_of(World.of(project(scan)), [P1]) == {P1: LiveCounts(critical=2, high=1, medium=1, low=1)}


def test_each_engine_is_counted_in_the_scan_that_speaks_for_it(live_of):
    before = Scan.holding(S1, sca("CVE-2031-1111", severity="LOW", state="NOT_EXPLOITABLE"), sca("CVE-2031-2222", severity="LOW"),
                          sast("x", severity="CRITICAL", state="NOT_EXPLOITABLE"), created=TODAY - clock.DAY)
    today = Scan.holding(S2, sast("a"), engines={"sast": "Completed"})
    assert live_of(World.of(project(before, today)), [P1]) == {P1: LiveCounts(high=1, low=1)}


@pytest.mark.parametrize("only_main", [False, True])
def test_a_project_that_is_scanned_beside_its_main_branch_alone_counts(live_of, only_main):
    held = World.of(project(Scan.holding(S1, sast("a"), branch="feature/x")), project(key=P2))
    held.only_main_branch = only_main
    assert live_of(held, [P1, P2]) == {P1: LiveCounts(high=1)}


def test_fixed_results_are_not_open(live_of):
    scan = Scan.holding(S1, sast("a"), fixed={("sast", "HIGH"): 7})
    assert live_of(World.of(project(scan)), [P1]) == {P1: LiveCounts(high=1)}


def test_api_risks_that_are_sast_results_count_once(live_of):
    scan = Scan.holding(S1, sast("a"), risk("r1", sast="a"), risk("r2", origin="documentation", severity="low"),
                        risk("r3", origin="documentation", state="not_exploitable"))
    assert live_of(World.of(project(scan)), [P1]) == {P1: LiveCounts(high=1, low=1)}


def test_old_container_results_count(live_of):
    old = [Result("sca-container", f"CVE-2020-{number}", state=state, severity="MEDIUM", data={"packageName": "urllib3"})
           for number, state in ((1111, "TO_VERIFY"), (2222, "NOT_EXPLOITABLE"))]
    assert live_of(World.of(project(Scan.holding(S1, *old))), [P1]) == {P1: LiveCounts(medium=1)}


def test_states_that_a_summary_does_not_tell_are_asked_for(pull_answered, serve):
    """``stateCounters`` is null on some tenants."""
    scan = {"id": S1, "status": "Completed", "engines": ["sast"], "createdAt": "2026-03-02T17:05:10Z"}
    counters = {"severityCounters": [{"severity": "HIGH", "counter": 3}], "stateCounters": None, "severityStatusCounters": None}
    dismissed = {"type": "sast", "id": "a", "severity": "HIGH", "state": "NOT_EXPLOITABLE", "status": "RECURRENT"}
    pull = pull_answered({"/api/projects/last-scan": {P1: scan},
                          "/api/scan-summary": {"scansSummaries": [{"scanId": S1, "sastCounters": counters}]},
                          "/api/results": {"results": [dismissed], "totalCount": 1}})
    settings = {"url": pull._client.base, "tenant": "acme", "client_id": CLIENT, "client_secret": SECRET}
    assert CheckmarxLive().totals(settings, upstream, [P1], 10.0) == {P1: LiveCounts(high=2)}


def test_projects_that_no_scan_speaks_for_are_left_out(live_of):
    held = World.of(project(Scan.holding(S1, sast("a"))), project(key=P2), project(Scan.holding(S2, status="Running"), key=P3))
    assert set(live_of(held, [P1, P2, P3, "unknown", f"dast:{E1}"])) == {P1}
    assert live_of(held, [P2]) == {}
    assert live_of(held, []) == {}


def test_other_tenants_projects_are_not_counted(live_of):
    held = World.of(project(Scan.holding(S1, sast("a"))))
    held.tenants |= World.of(project(Scan.holding(S2, sast("b")), key=P2), tenant="other").tenants
    assert set(live_of(held, [P1, P2])) == {P1}


# -- in time, or not at all -------------------------------------------------------------------------------------------------------------


def two_projects() -> World:
    return World.of(project(Scan.holding(S1, sast("a"), risk("r", origin="documentation"))), project(Scan.holding(S2, sast("b")), key=P2))


@pytest.mark.parametrize("path", ["token", "projects/last-scan", "scan-summary"])
def test_a_source_that_hangs_is_given_up_when_the_time_is_up(live_of, path):
    held, released = two_projects(), threading.Event()
    held.faults.add("slow", path=path, gate=released)
    begun = time.monotonic()
    try:
        with pytest.raises(ConnectorError, match="did not answer within 0.3 seconds"):
            live_of(held, [P1, P2], 0.3)
    finally:
        released.set()
    assert time.monotonic() - begun < 1.5


def test_projects_that_are_counted_in_time_are_told_though_others_hang(live_of):
    held, released = two_projects(), threading.Event()
    held.faults.add("slow", path=RISKS, about=P1, gate=released)
    try:
        assert live_of(held, [P1, P2], 0.5) == {P2: LiveCounts(high=1)}
    finally:
        released.set()


def test_projects_whose_calls_fail_are_left_out(live_of):
    held = two_projects()
    held.faults.add("html", path=RISKS, about=P1)
    assert live_of(held, [P1, P2]) == {P2: LiveCounts(high=1)}


@pytest.mark.parametrize("path", ["token", "projects/last-scan", "scan-summary"])
@pytest.mark.parametrize("kind", ["html", "status", "cut_json"])
def test_a_source_in_trouble_raises(live_of, path, kind):
    held = two_projects()
    held.faults.add(kind, path=path, status=429)
    with pytest.raises(ConnectorError):
        live_of(held, [P1, P2])


def test_one_engine_that_cannot_be_told_spoils_the_figures_and_none_are_given(live_of):
    held = two_projects()
    held.faults.add("status", path="projects/last-scan", status=503, after=3, times=1)
    with pytest.raises(UpstreamUnavailable):
        live_of(held, [P1, P2])


def test_a_credential_that_is_refused_is_tried_once(live_of):
    held = two_projects()
    with pytest.raises(LoginRejected):
        live_of(held, [P1, P2], client_secret="another-secret-of-the-client")
    assert held.calls.total() == 1


def test_a_token_that_ends_in_between_is_renewed(live_of):
    held = two_projects()
    held.faults.add("expire", path="scan-summary", times=1)
    assert set(live_of(held, [P1, P2])) == {P1, P2}


def test_many_projects_are_asked_for_in_chunks(live_of):
    held = World.of(*(Project(f"{number:08}-0000-4000-8000-000000000000", f"{number}", scans=[Scan.holding(f"{S3}{number}", kics("k"))])
                      for number in range(230)))
    assert len(live_of(held, list(held.tenants["acme"].projects))) == 230
    assert (held.calls["projects/last-scan"], held.calls["scan-summary"]) == (18, 5)
