"""Worlds to begin with: two companies, each with a group and organizations, and issues computed from index arithmetic alone.

Nothing here is random, so two processes that ask for the same plan hold the same world; tokens are the one exception.
Issues of a project are made when somebody first asks for them, which keeps the start cheap.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from zlib import crc32

from core import clock
from plugins.snyk.upstream.catalogue import (
    CODE_RULES,
    CONFIG_RULES,
    ENDINGS,
    FILES,
    FOLDERS,
    LICENSES,
    PACKAGES,
    REPOSITORIES,
    SKETCHES,
    WEAKNESSES,
    Rule,
    Sketch,
)
from plugins.snyk.upstream.world import TODAY, Ignore, Issue, Organization, Project, Target, Token, World, made_id

_Value = TypeVar("_Value")

COMPANIES = ("northwind", "contoso")
_HISTORY = 700 * clock.DAY
_REASONS = ("not-vulnerable", "wont-fix", "temporary-ignore", "wont-fix")
_WORDS = {"not-vulnerable": "The vulnerable function is not called", "wont-fix": "Accepted until the next release",
          "temporary-ignore": "Waiting for a fix"}
_REACHABILITY = ("no-info", "no-info", "function", "package", "not-applicable")
_MATURITY = ("Not Defined", "Not Defined", "Proof of Concept", "Not Defined", "Functional", "Attacked")
_WAYS = (frozenset({"is_upgradeable", "is_fixable_snyk"}), frozenset({"is_upgradeable"}), frozenset({"is_pinnable"}), frozenset[str]())
_LICENSE_EVERY = 8  # of the issues of a manifest


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a world is.

    :ivar projects: of both companies together, divided evenly.
    :ivar issues: open and ignored ones of all types together; resolved ones come on top.
    :ivar organizations: of each company.
    """

    projects: int = 20
    issues: int = 1_500
    organizations: int = 1
    ignored_percent: int = 6
    resolved_percent: int = 8


DEMO = Plan()


def default_world(plan: Plan = DEMO) -> World:
    """The two companies' projects in one region, without tokens: admit some."""
    owners = [_organization(company, number) for company in COMPANIES for number in range(plan.organizations)]
    sketches = [(_pick(owners, number), *_drawn(number // len(owners))) for number in range(plan.projects)]
    weights = [sketch.share for _, _, sketch in sketches]
    for number, (owner, repository, sketch) in enumerate(sketches):
        project = _project(owner, repository, sketch, _share(plan.issues, weights, number), plan)
        owner.projects[project.id] = project
    return World.of(*owners, groups={made_id("group", company): company.title() for company in COMPANIES})


def admit_companies(world: World, values: Mapping[str, str] | None = None) -> dict[str, str]:
    """One token for each company, by its name; those given, else fresh ones."""
    given = values or {}
    return {company: world.admit(_token_of(world, company), given.get(company, "")) for company in COMPANIES}


def group_of(company: str) -> str:
    """The id of a company's group."""
    return made_id("group", company)


def _token_of(world: World, company: str) -> Token:
    group = group_of(company)
    own = frozenset(one.id for one in world.organizations.values() if one.group == group)
    return Token(own, frozenset({group}), name=f"{company}-sync")


def _organization(company: str, number: int) -> Organization:
    suffix = f"-{number + 1}" if number else ""
    name = f"{company.title()} {number + 1}" if number else company.title()
    return Organization(f"{company}{suffix}", name, group_of(company))


def _drawn(number: int) -> tuple[str, Sketch]:
    """The project with this number in its organization: a repository, and one of the manifests in it."""
    rounds, place = divmod(number, sum(len(sketches) for sketches in SKETCHES))
    for repository, sketches in enumerate(SKETCHES):
        if place < len(sketches):
            return f"{repository + rounds * len(SKETCHES)}", sketches[place]
        place -= len(sketches)
    raise AssertionError("unreachable")


def _share(total: int, weights: Sequence[int], number: int) -> int:
    """How many of ``total`` fall to this number: the differences of running sums, so that they add up exactly."""
    whole = sum(weights) or 1
    return total * sum(weights[:number + 1]) // whole - total * sum(weights[:number]) // whole


def _project(owner: Organization, repository: str, sketch: Sketch, issues: int, plan: Plan) -> Project:
    company = owner.slug.partition("-")[0]
    names = REPOSITORIES[company]
    turn, place = divmod(int(repository), len(names))
    repo = f"{company}/{names[place]}" + (f"-{turn + 1}" if turn else "")
    is_image = sketch.type == "deb" and not sketch.file
    key = made_id("project", owner.slug, repo, sketch.type, sketch.file)
    target = Target(made_id("target", owner.slug, repo, is_image), f"{repo}:1.4" if is_image else repo,
                    "" if is_image else f"https://git.example.org/{repo}", sketch.origin)
    return Project(
        key, f"{repo}:{sketch.file}" if sketch.file else repo, sketch.type, sketch.origin, target, sketch.file,
        "1.4" if is_image else "main", tags=(("team", names[place].partition("-")[0]),),
        criticality=("high",) if crc32(key.encode()) % 3 == 0 else (), lifecycle=("production",),
        created=TODAY - _HISTORY, tested=TODAY - crc32(key.encode()) % 20 * clock.HOUR,
        make_issues=partial(_Source(key, repo, sketch).issues, issues, plan))


@dataclass(frozen=True, slots=True)
class _Source:
    """Computes the issues of one project."""

    key: str
    repo: str
    sketch: Sketch

    def issues(self, count: int, plan: Plan) -> Iterator[Issue]:
        for number in range(count):
            issue = self._issue(number)
            roll = _mix(self.key, number * 13 + 5)
            if roll % 100 < plan.ignored_percent:
                kind = _pick(_REASONS, roll // 100)
                issue.ignored = Ignore(_WORDS[kind], kind, created=issue.created + clock.DAY,
                                       expires=TODAY + 60 * clock.DAY if kind == "temporary-ignore" else None)
            yield issue
        for number in range(count * plan.resolved_percent // 100):
            issue = self._issue(number + 500_000)
            issue.status, issue.resolution = "resolved", "disappeared" if number % 4 == 3 else "fixed"
            yield issue

    def _issue(self, number: int) -> Issue:
        if self.sketch.type == "sast":
            return self._code(number)
        if self.sketch.type not in PACKAGES:
            return self._config(number)
        if self.sketch.type != "deb" and number % _LICENSE_EVERY == _LICENSE_EVERY - 1:
            return self._license(number)
        return self._package(number)

    def _package(self, number: int) -> Issue:
        roll = _mix(self.key, number)
        word, packages = PACKAGES[self.sketch.type]
        name, version = _pick(packages, roll)
        weakness = _pick(WEAKNESSES, roll // 17)
        short = name.rpartition("/")[2].rpartition(":")[2].replace(".", "").replace("-", "").upper()
        created, updated = self._dates(roll)
        is_container = self.sketch.type == "deb"
        ways = frozenset[str]() if is_container and roll % 3 else _pick(_WAYS, roll // 7)
        return Issue(
            f"SNYK-{word}-{short}-{9_000_000 + number * 7 + roll % 7}", title=weakness.title, severity=weakness.severity,
            packages=((name, version),) if roll % 29 else ((name, version), (name, f"{version}-2")), cwe=(weakness.cwe,),
            cve=() if roll % 5 == 0 else (f"CVE-{2022 + roll % 5}-{90_000 + number}",), score=weakness.score, vector=weakness.vector,
            fixes=ways, fixed_in="" if not ways else f"{version}-fixed", reachability=_pick(_REACHABILITY, roll // 11),
            maturity=_pick(_MATURITY, roll // 19), risk=int(weakness.score * 60) + roll % 100, created=created, updated=updated)

    def _license(self, number: int) -> Issue:
        roll = _mix(self.key, number)
        _, packages = PACKAGES[self.sketch.type]
        name, version = _pick(packages, number // _LICENSE_EVERY)
        license, severity = _pick(LICENSES, roll)
        created, updated = self._dates(roll)
        return Issue(f"snyk:lic:{self.sketch.type}:{name}:{license}:{number}", "license", f"{license} license", severity,
                     packages=((name, version),), created=created, updated=updated)

    def _code(self, number: int) -> Issue:
        roll = _mix(self.key, number)
        rule = _pick(CODE_RULES, roll)
        key, asset = made_id("code", self.key, number), made_id("asset", self.repo, number)
        created, updated = self._dates(roll)
        file = f"{_pick(FOLDERS, roll // 3)}/{_pick(FILES, roll // 31)}.{ENDINGS[crc32(self.repo.encode()) % len(ENDINGS)]}"
        return Issue(key, "code", rule.title, rule.severity, file=file, line=10 + roll // 7 % 400, cwe=rule.cwe, key_asset=asset[:36],
                     description=rule.description, fixes=_pick((frozenset({"is_fixable_snyk"}), frozenset[str]()), roll // 5),
                     risk=100 + roll % 600, created=created, updated=updated)

    def _config(self, number: int) -> Issue:
        roll = _mix(self.key, number)
        word = "K8S" if self.sketch.type == "k8sconfig" else "TF"
        rules: list[Rule] = [rule for rule in CONFIG_RULES if f"-{word}-" in rule.id]
        rule = _pick(rules, number)
        created, updated = self._dates(roll)
        return Issue(made_id("config", self.key, number).replace("-", ""), "config", rule.title, rule.severity, rule=rule.id,
                     file=self.sketch.file, line=5 + number * 9, resource=f"{rule.resource} #{number // len(rules) + 1}", cwe=rule.cwe,
                     fixes=frozenset({"is_fixable_manually"}), created=created, updated=updated)

    def _dates(self, roll: int) -> tuple[int, int]:
        """When it was first seen, and when last changed."""
        created = TODAY - (roll // 13 % _HISTORY_HOURS) * clock.HOUR
        return created, min(TODAY, created + roll % 40 * clock.DAY)


_HISTORY_HOURS = _HISTORY // clock.HOUR


def _mix(key: str, number: int) -> int:
    """A number that looks arbitrary and is always the same for the same arguments."""
    value = (crc32(key.encode()) + number * 0x9E3779B1) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return value ^ (value >> 15)


def _pick(values: Sequence[_Value], roll: int) -> _Value:
    return values[roll % len(values)]


