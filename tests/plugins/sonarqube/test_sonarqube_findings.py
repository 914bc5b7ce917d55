"""What a pull brings of one project: which findings, how they read, and how many calls they take."""

from dataclasses import replace
from math import ceil

import pytest

from core.hooks.contracts import AssetDraft, RuleDraft, Severity, SourceState, Unmapped
from core.hooks.failures import NotThere, PullIncomplete
from plugins.sonarqube.client import ProjectForbidden
from plugins.sonarqube.places import Place
from plugins.sonarqube.upstream import Flavour, Hotspot, Issue, Plan, Project, Rule, Token, World, default_world, one_moment
from plugins.sonarqube.upstream.rules import RULES

SERVER, CLOUD = Flavour(), Flavour(cloud=True)
V9, V10_4 = Flavour(version="9.9.4.87374"), Flavour(version="10.4.1.88267")
EVERY = [SERVER, CLOUD, V9, V10_4, Flavour(version="10.1.0.1"), Flavour(version="26.5.0.1", branches=False)]
SECURITY, RELIABILITY, MAINTAINABILITY = (("SECURITY", "HIGH"),), (("RELIABILITY", "MEDIUM"),), (("MAINTAINABILITY", "LOW"),)
STATUSES = ["OPEN", "CONFIRMED", "ACCEPTED", "FALSE_POSITIVE", "FIXED"]


def name_of(flavour: Flavour) -> str:
    return "cloud" if flavour.cloud else flavour.version


def issue(key: str, **fields) -> Issue:
    return Issue(key, **{"rule": "java:S5542", "impacts": SECURITY, "path": "src/A.java", "line": 7, "message": "Fix it.", **fields})


def small_world(*issues: Issue, hotspots: tuple[Hotspot, ...] = (), flavour: Flavour = SERVER) -> World:
    return World.of(Project.holding("acme:billing", issues, hotspots, name="Billing", organization="acme"), rules=RULES, flavour=flavour)


MIXED = (issue("v"), issue("b", type="BUG", impacts=RELIABILITY, rule="java:S2259"),
         issue("s", type="CODE_SMELL", impacts=MAINTAINABILITY, rule="java:S3776"),
         issue("hidden", type="CODE_SMELL", impacts=SECURITY))


@pytest.mark.parametrize("flavour", EVERY, ids=name_of)
def test_open_and_dismissed_issues_arrive_with_their_state_and_fixed_ones_are_left_out(pull_of, issues_of, flavour):
    held = small_world(*(issue(status.lower(), status=status) for status in STATUSES), flavour=flavour)
    states = {key: finding.state for key, finding in issues_of(pull_of(held), "acme:billing").items()}
    assert states == {"open": SourceState.OPEN, "confirmed": SourceState.OPEN, "accepted": SourceState.ACCEPTED,
                      "false_positive": SourceState.FALSE_POSITIVE}


@pytest.mark.parametrize(("flavour", "settings", "keys"), [
    (V9, {}, {"v"}), (V10_4, {}, {"v"}), (V9, {"severity_mode": "mqr"}, {"v"}), (V10_4, {"severity_mode": "mqr"}, {"v", "hidden"}),
    (SERVER, {}, {"v", "hidden"}), (SERVER, {"severity_mode": "standard"}, {"v"}),
    (Flavour(mode="STANDARD_EXPERIENCE"), {}, {"v"}), (Flavour(mode="STANDARD_EXPERIENCE"), {"severity_mode": "mqr"}, {"v", "hidden"}),
    (CLOUD, {}, {"v", "hidden"}), (CLOUD, {"severity_mode": "standard"}, {"v"}),
    (SERVER, {"include_quality_issues": True}, {"v", "b", "s", "hidden"}),
    (V9, {"include_quality_issues": True}, {"v", "b", "s", "hidden"}),
])
def test_which_issues_count_as_security_follows_the_version_the_mode_and_the_setting(pull_of, issues_of, flavour, settings, keys):
    assert set(issues_of(pull_of(small_world(*MIXED, flavour=flavour), **settings), "acme:billing")) == keys


def test_the_mode_decides_the_severity(pull_of, issues_of):
    told = issue("v", severity="MINOR", impacts=(("SECURITY", "BLOCKER"),))
    for mode, severity in (("MQR", Severity.CRITICAL), ("STANDARD_EXPERIENCE", Severity.LOW)):
        assert issues_of(pull_of(small_world(told, flavour=Flavour(mode=mode))), "acme:billing")["v"].severity is severity


def test_a_server_that_does_not_tell_its_mode_is_taken_for_the_newer_one(pull_of, issues_of):
    held = small_world(*MIXED)
    held.faults.add("status", path="v2/clean-code-policy/mode", status=404)
    assert set(issues_of(pull_of(held), "acme:billing")) == {"v", "hidden"}


@pytest.mark.parametrize("flavour", [SERVER, CLOUD, V9], ids=name_of)
def test_issues_carry_the_weakness_that_only_their_rule_names(pull_of, issues_of, flavour):
    found = issues_of(pull_of(small_world(issue("a"), issue("b", rule="java:S4830"), flavour=flavour)), "acme:billing")
    assert (found["a"].cwe, found["b"].cwe) == ((327, 780), (295,))
    assert found["a"].description == "Encryption algorithms should be used with secure mode and padding scheme"


def test_hotspots_arrive_reviewed_or_not(pull_of, findings_of):
    spots = (Hotspot("h1", "java:S2245", "weak-cryptography", "HIGH", path="src/A.java", line=3, message="Check it."),
             Hotspot("h2", "java:S2245", "weak-cryptography", "LOW", status="REVIEWED", resolution="ACKNOWLEDGED", path="src/A.java"))
    first, second = findings_of(pull_of(small_world(issue("v"), hotspots=spots)), "acme:billing")[:2]
    assert (first.source_key, first.category, first.severity) == ("h1", "hotspot", Severity.HIGH)
    assert (first.state, first.cwe) == (SourceState.OPEN, (338,))
    assert (second.source_key, second.state, second.source_status) == ("h2", SourceState.ACCEPTED, "REVIEWED/ACKNOWLEDGED")


def test_hotspots_of_servers_that_do_not_name_the_rule(pull_of, findings_of):
    old = Flavour(version="9.6.1.1")
    spot = Hotspot("h1", "java:S2245", "sql-injection", path="src/A.java", message="Check it.")
    found = findings_of(pull_of(small_world(issue("v"), hotspots=(spot,), flavour=old)), "acme:billing")[0]
    assert (found.rule, found.cwe) == ("", (89,))


def test_rules_come_with_their_text_and_unknown_ones_are_left_out(pull_of):
    held = small_world()
    rules = list(pull_of(held).rules(["java:S5542", "external_eslint:no-such", "java:S4830", "java:S5542"]))
    assert [rule.key for rule in rules] == ["java:S5542", "java:S4830", "java:S5542"]
    assert isinstance(rules[0], RuleDraft)
    assert "<h2>Resources</h2>" in rules[0].description
    assert rules[0].url.endswith("/coding_rules?open=java%3AS5542&rule_key=java%3AS5542")
    assert held.calls["rules/search"] == 2  # one for each repository
    assert held.calls["rules/show"] == 1  # for the one that its repository does not hold


def test_rules_of_old_servers_have_a_text_too(pull_of):
    for version in ("9.9.4.1", "9.3.0.1"):
        rule = next(pull_of(small_world(flavour=Flavour(version=version))).rules(["java:S5542"]))
        assert rule.cwe == (327, 780)
        assert "ECB" in rule.description


def test_a_refused_listing_of_rules_is_made_up_for_one_by_one(pull_of, issues_of):
    held = small_world(issue("a"), issue("b", rule="java:S4830"))
    held.faults.add("status", path="rules/search", status=400)
    assert issues_of(pull_of(held), "acme:billing")["b"].cwe == (295,)
    assert held.calls["rules/show"] == 2


def test_a_further_branch_has_its_own_findings(pull_of, issues_of):
    held = World.of(Project.holding("p", [issue("m")], develop=[issue("d1"), issue("d2")]), rules=RULES)
    pull = pull_of(held, branches="develop")
    assert set(issues_of(pull, "p")) == {"m"}
    found = issues_of(pull, "p::develop")
    assert set(found) == {"d1", "d2"}
    assert found["d1"].url.endswith("&branch=develop")
    assert found["d1"].path == "src/A.java"


def test_an_asset_without_attributes_is_known_by_its_key(pull_of):
    held = World.of(Project.holding("p", [issue("m")], develop=[issue("d")]), rules=RULES)
    pull = pull_of(held)
    assert [finding.source_key for finding in pull.findings(AssetDraft("p::develop", "P", "sonar_project"))] == ["d"]
    assert [finding.source_key for finding in pull.findings(AssetDraft("p", "P", "sonar_project"))] == ["m"]


def test_a_project_without_findings_is_believed_only_when_it_can_be_seen(pull_of, findings_of):
    held = small_world()
    assert findings_of(pull_of(held), "acme:billing") == []
    assert held.calls["components/show"] == 1


@pytest.mark.parametrize("flavour", [SERVER, CLOUD, V9], ids=name_of)
def test_a_project_that_is_gone_or_hidden_is_not_taken_for_a_clean_one(pull_of, findings_of, flavour):
    held = small_world(issue("v"), flavour=flavour)
    held.projects["acme:other"] = Project("acme:other", "Other", "acme")
    pull = pull_of(held, Token(projects=frozenset({"acme:other"})))
    with pytest.raises(NotThere):
        findings_of(pull, "acme:gone")
    with pytest.raises(ProjectForbidden) as caught:
        findings_of(pull, "acme:billing")
    assert caught.value.asset_only


@pytest.mark.parametrize("flavour", [SERVER, CLOUD], ids=name_of)
def test_the_search_for_issues_alone_does_not_hide_that_a_project_is_gone(pull_of, flavour):
    held = small_world(issue("v"), flavour=flavour)
    client = pull_of(held, Token("acme", frozenset()))._client
    with pytest.raises(ProjectForbidden):
        list(client.issues(Place("acme:billing")))
    with pytest.raises(NotThere):
        list(client.issues(Place("gone")))


def test_a_record_that_cannot_be_read_is_told_with_its_key(pull_of, findings_of):
    held = small_world(issue("bad", line="on page three"), issue("good"))
    broken, good = findings_of(pull_of(held), "acme:billing")
    assert isinstance(broken, Unmapped)
    assert (broken.source_key, good.source_key) == ("bad", "good")


# -- how many calls, and how complete -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standard_world() -> World:
    """The stand-in's default world; each test of this module that uses it brings a token and counts calls of its own."""
    return default_world()


@pytest.fixture
def fresh(standard_world) -> World:
    return replace(standard_world, tokens={}, calls=type(standard_world.calls)())


def reported(project: Project) -> set[str]:
    return {issue.key for issue in project.main.issues if issue.type == "VULNERABILITY" and issue.status != "FIXED"}


def test_the_default_world_is_as_large_as_it_says(fresh):
    sizes = [len(reported(project)) for project in fresh.projects.values()]
    assert (len(sizes), sum(sizes)) == (60, 25_000)
    assert max(sizes) > 12_000
    assert sum(len({issue.created for issue in project.main.issues}) == 1 for project in fresh.projects.values()) >= 3


def test_a_whole_sync_takes_about_one_call_for_five_hundred_issues(pull_of, fresh):
    pull = pull_of(fresh)
    keys = [finding.source_key for asset in pull.catalog() for finding in pull.findings(asset) if finding.category != "hotspot"]
    assert len(keys) == len(set(keys)) == 25_000
    pages = sum(max(1, ceil(len(reported(project)) / 500)) for project in fresh.projects.values())
    assert fresh.calls["issues/search"] <= pages + 2
    small_change = {"project_branches/list": 60, "hotspots/search": 60, "components/show": 5, "projects/search": 1, "system/status": 1,
                    "v2/clean-code-policy/mode": 1}
    assert {path: fresh.calls[path] for path in small_change} == small_change
    assert fresh.calls["rules/search"] <= 9
    assert fresh.calls.total() <= 25_000 / 500 + 60 * 4


def test_a_project_past_the_window_of_a_cloud_is_complete(pull_of, fresh):
    held = replace(fresh, flavour=CLOUD)
    largest = max(held.projects.values(), key=lambda project: len(reported(project)))
    issues = pull_of(held, organization=largest.organization)._client.issues(Place(largest.key), types="VULNERABILITY")
    assert {issue["key"] for issue in issues} == reported(largest)
    assert held.calls["issues/search"] <= ceil(len(reported(largest)) / 500) + 2


@pytest.mark.parametrize("flavour", [SERVER, CLOUD], ids=name_of)
def test_more_issues_of_one_single_moment_than_a_window_shows_are_complete(pull_of, flavour):
    held = World.of(one_moment("acme:old", 10_300, organization="acme", cloud=flavour.cloud), rules=RULES, flavour=flavour)
    issues = pull_of(held)._client.issues(Place("acme:old"))
    assert {issue["key"] for issue in issues} == reported(held.projects["acme:old"])
    assert held.calls["issues/search"] <= ceil(10_300 / 500) + 10


@pytest.mark.parametrize("flavour", [SERVER, CLOUD], ids=name_of)
def test_issues_that_nothing_tells_apart_are_never_called_complete(pull_of, issues_of, flavour):
    """A facet lists a hundred values at most, so three hundred files do not tell them apart either."""
    alike = [issue(f"{number}", path=f"F{number % 300}") for number in range(10_200)]
    with pytest.raises(PullIncomplete, match="nothing tells apart"):
        issues_of(pull_of(small_world(*alike, flavour=flavour)), "acme:billing")


@pytest.mark.parametrize("flavour", [SERVER, CLOUD], ids=name_of)
def test_files_tell_issues_of_one_moment_apart(pull_of, flavour):
    alike = [issue(f"{number}", path=f"F{number % 20}") for number in range(10_001)]
    client = pull_of(small_world(*alike, flavour=flavour))._client
    assert sum(1 for _ in client.issues(Place("acme:billing"))) == 10_001


@pytest.mark.parametrize("flavour", [SERVER, CLOUD], ids=name_of)
def test_hotspots_past_the_window_are_complete(pull_of, flavour):
    spots = tuple(Hotspot(f"h{number}", "java:S2245", ["xss", "dos", "others"][number % 3], message="Check it.", path="A",
                          status="REVIEWED" if number % 50 == 0 else "TO_REVIEW", resolution="SAFE" if number % 50 == 0 else "")
                  for number in range(10_500))
    client = pull_of(small_world(hotspots=spots, flavour=flavour))._client
    assert len({hotspot["key"] for hotspot in client.hotspots(Place("acme:billing"))}) == 10_500


def test_a_pull_begins_to_give_findings_before_it_has_read_them_all(pull_of, fresh):
    pull = pull_of(fresh)
    largest = max(fresh.projects.values(), key=lambda project: len(reported(project)))
    findings = pull.findings(AssetDraft(largest.key, largest.name, "sonar_project"))
    next(finding for finding in findings if finding.category != "hotspot")
    assert fresh.calls["issues/search"] <= 3
    findings.close()


def test_a_small_plan_keeps_its_numbers():
    held = default_world(Plan(projects=7, issues=100, largest=60, hotspots=10))
    assert sum(len(reported(project)) for project in held.projects.values()) == 100
    assert sum(len(project.main.hotspots) for project in held.projects.values()) == 10
    assert Rule("x:y", "X", "BUG").key == "x:y"
