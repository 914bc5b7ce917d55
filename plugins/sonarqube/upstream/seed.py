"""Worlds to begin with: two companies, their projects, and findings computed from index arithmetic alone.

Nothing here is random, so two processes that ask for the same plan hold the same world; tokens are the one exception.
Findings of a branch are made when somebody first asks for them, which keeps the start cheap.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar
from zlib import crc32

from core import clock
from plugins.sonarqube.upstream.rules import RULES
from plugins.sonarqube.upstream.world import TODAY, Branch, Flavour, Hotspot, Issue, Project, Rule, Token, World

_Value = TypeVar("_Value")

ORGANIZATIONS = ("northwind", "contoso")
_HISTORY = 3 * 365 * clock.DAY
_ANALYSES = 160
_FIRST_ANALYSIS_PERCENT = 30  # of a project's issues; what is found when old code is looked at for the first time
_ALL_AT_ONCE = 7  # every so manieth project was analysed only once
_CLEAN = 15  # every so manieth project has no findings at all

_NAMES = {
    "northwind": (
        "Storefront Web", "Checkout API", "Order Service", "Payment Gateway", "Product Catalogue", "Warehouse Management",
        "Shipping Labels", "Customer Accounts", "Loyalty Programme", "Price Engine", "Supplier Portal", "Returns Desk", "Search Service",
        "Recommendation Engine", "Email Campaigns", "Invoice Archive", "Mobile App Backend", "Store Locator", "Gift Cards",
        "Fraud Detection", "Data Lake Loader", "Reporting Portal", "Identity Provider", "API Gateway", "Inventory Sync",
        "Point of Sale", "Delivery Tracking", "Tax Calculator", "Support Chat", "Demand Forecast",
    ),
    "contoso": (
        "Claims Portal", "Policy Administration", "Underwriting Workbench", "Broker Gateway", "Actuarial Models", "Document Vault",
        "Customer Self Service", "Premium Billing", "Reinsurance Ledger", "Fraud Analytics", "Partner API", "Mobile Claims App",
        "Quote Engine", "Identity Service", "Regulatory Reporting", "Call Centre Desktop", "Correspondence Service", "Payments Hub",
        "Risk Data Warehouse", "Telematics Ingest", "Health Check Portal", "Agent Training", "Legacy Mainframe Bridge", "Case Management",
        "Data Anonymizer", "Medical Records Import", "Notification Service", "Rating Tables", "Audit Trail", "Investment Portal",
    ),
}
_LANGUAGES = ("java", "js", "py")
_FOLDERS = {
    "java": tuple(f"src/main/java/com/{{company}}/{{slug}}/{layer}" for layer in ("web", "service", "data", "batch", "config")),
    "js": ("src/routes", "src/components", "src/lib", "server/controllers", "server/middleware"),
    "py": ("{slug}/api", "{slug}/services", "{slug}/storage", "{slug}/jobs", "scripts"),
}
_STEMS = ("Account", "Address", "Archive", "Basket", "Batch", "Catalog", "Contract", "Customer", "Delivery", "Document", "Export",
          "Import", "Invoice", "Ledger", "Login", "Message", "Order", "Partner", "Payment", "Policy", "Price", "Product", "Profile",
          "Quote", "Report", "Search", "Session", "Shipment", "Stock", "Upload", "User", "Webhook")
_ROLES = ("Controller", "Service", "Repository", "Client", "Handler", "Mapper")
_PEOPLE = ("a.lindqvist", "b.okafor", "c.moreau", "d.tanaka", "e.novak", "f.silva", "g.byrne", "h.yilmaz")

#: component, its file, vulnerability, CVSS score, CWE, severity: what a dependency scanner reports into SonarQube
_KNOWN_VULNERABILITIES = {
    "java": (("log4j-core:2.14.1", "pom.xml", "CVE-2021-44228", "10.0", 502, "BLOCKER"),
             ("spring-beans:5.3.17", "pom.xml", "CVE-2022-22965", "9.8", 94, "BLOCKER"),
             ("jackson-databind:2.12.5", "pom.xml", "CVE-2020-36518", "7.5", 787, "CRITICAL")),
    "js": (("lodash:4.17.20", "package.json", "CVE-2021-23337", "7.2", 94, "CRITICAL"),
           ("moment:2.29.1", "package.json", "CVE-2022-24785", "7.5", 22, "CRITICAL"),
           ("minimist:1.2.5", "package.json", "CVE-2021-44906", "9.8", 1321, "BLOCKER")),
    "py": (("requests:2.30.0", "requirements.txt", "CVE-2023-32681", "6.1", 200, "MAJOR"),
           ("pyyaml:5.3", "requirements.txt", "CVE-2020-1747", "9.8", 20, "BLOCKER"),
           ("jinja2:2.11.2", "requirements.txt", "CVE-2020-28493", "5.3", 400, "MAJOR")),
}
_IMPACT_OF = {"BLOCKER": "BLOCKER", "CRITICAL": "HIGH", "MAJOR": "MEDIUM", "MINOR": "LOW", "INFO": "INFO"}
_LIKELIHOOD = {"CRITICAL": "HIGH", "MAJOR": "MEDIUM", "MINOR": "LOW"}
_FREQUENCY = {"BLOCKER": 2, "CRITICAL": 4, "MAJOR": 11, "MINOR": 9, "INFO": 3}
_KNOWN_RULE = "OWASP:UsingComponentWithKnownVulnerability"
_SECRETS_RULE = "secrets:S6290"


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a world is.

    :ivar issues: vulnerabilities on main branches that are not fixed: what a sync of security findings brings, hotspots aside.
        Fixed ones, bugs and code smells, hotspots, and further branches come on top.
    :ivar largest: how many of them the largest project has.
    :ivar hotspots: on main branches, all together.
    """

    projects: int = 60
    issues: int = 25_000
    largest: int = 12_400
    hotspots: int = 1_500
    fixed_percent: int = 3
    quality_percent: int = 20


DEMO = Plan(projects=24, issues=3_000, largest=420, hotspots=240)


def default_world(plan: Plan | None = None, flavour: Flavour | None = None) -> World:
    """The two companies' projects on one SonarQube, without tokens: admit some."""
    plan, flavour = plan or Plan(), flavour or Flavour()
    sizes = _sizes(plan.issues, plan.projects, min(plan.largest, plan.issues))
    hotspots = _sizes(plan.hotspots, plan.projects, plan.hotspots // max(plan.projects, 1) * 3)
    projects = [_project(number, issues, spots, plan, flavour) for number, (issues, spots) in enumerate(zip(sizes, hotspots, strict=True))]
    return World({project.key: project for project in projects}, {rule.key: rule for rule in RULES}, flavour)


def demo_world(flavour: Flavour | None = None) -> World:
    """A SonarQube Cloud of modest size, with enough variety for dashboards to look real."""
    return default_world(DEMO, flavour or Flavour(cloud=True))


def admit_organizations(world: World, values: Mapping[str, str] | None = None) -> dict[str, str]:
    """One token for each company, by organization; those given, else fresh ones."""
    given = values or {}
    return {organization: world.admit(Token(organization, admin=True), given.get(organization, "")) for organization in ORGANIZATIONS}


def one_moment(key: str, issues: int, *, organization: str = "", moment: int = TODAY - 400 * clock.DAY, cloud: bool = False) -> Project:
    """A project whose issues were all created in one second, as the first analysis of an old code base does."""
    source = _Source(key, organization or ORGANIZATIONS[0], "java", cloud)

    def make() -> Iterator[Issue]:
        return (replace(source.vulnerability(number), created=moment, status="OPEN") for number in range(issues))

    return Project(key, key, organization, [Branch("main", is_main=True, make_issues=make)])


def _sizes(total: int, projects: int, largest: int) -> list[int]:
    """How many of ``total`` each project has: the first ``largest``, every ``_CLEAN``-th none, the others by uneven shares."""
    if projects == 0:
        return []
    if projects == 1:
        return [total]
    weights = [0 if number % _CLEAN == _CLEAN - 1 else 4 + (number * number * 37) % 97 for number in range(1, projects)]
    if not any(weights):
        return [total, *(0 for _ in weights)]
    rest = total - largest
    shares = [rest * weight // sum(weights) for weight in weights]
    shares[0] += rest - sum(shares)
    return [largest, *shares]


def _project(number: int, issues: int, hotspots: int, plan: Plan, flavour: Flavour) -> Project:
    organization = ORGANIZATIONS[number % 2]
    names = _NAMES[organization]
    turn, position = divmod(number // 2, len(names))
    name = names[position] + (f" {turn + 1}" if turn else "")
    slug = name.lower().replace(" ", "-")
    key = f"{organization}:{slug}" if organization == "northwind" else f"{organization}_{slug}"
    source = _Source(key, organization, _LANGUAGES[number % 3], flavour.cloud, all_at_once=number % _ALL_AT_ONCE == 4)
    main = Branch("main" if number % 4 else "master", is_main=True, gate="ERROR" if number % 3 == 0 else "OK",
                  analysed=TODAY - (number * 7919 % 240) * clock.HOUR,
                  make_issues=_maker(source.issues, issues, plan), make_hotspots=_maker(source.hotspots, hotspots))
    return Project(key, name, organization, [main, *_further_branches(number, source, issues, hotspots, plan)])


def _further_branches(number: int, source: "_Source", issues: int, hotspots: int, plan: Plan) -> list[Branch]:
    names = [name for name, every in (("develop", 3), ("release/2.4", 5)) if number % every == 0]
    branches = []
    for name in names:
        copy = replace(source, salt=name)
        branches.append(Branch(name, analysed=_analysed(number, name), make_issues=_maker(copy.issues, min(issues, 900) * 9 // 10, plan),
                               make_hotspots=_maker(copy.hotspots, hotspots * 9 // 10)))
    return branches


def _analysed(number: int, branch: str) -> int:
    return TODAY - (crc32(f"{number}{branch}".encode()) % 500) * clock.HOUR


def _maker(make: Callable[..., Iterator[_Value]], *arguments: object) -> Callable[[], Iterator[_Value]]:
    return lambda: make(*arguments)


@dataclass(frozen=True, slots=True)
class _Source:
    """Computes the findings of one branch. ``salt`` keeps the keys of two branches apart, while the code stays the same."""

    key: str
    company: str
    lang: str
    cloud: bool
    all_at_once: bool = False
    salt: str = ""

    def issues(self, vulnerabilities: int, plan: Plan) -> Iterator[Issue]:
        for number in range(vulnerabilities):
            yield self.vulnerability(number)
        for number in range(vulnerabilities * plan.fixed_percent // 100):
            yield replace(self.vulnerability(number + 500_000), status="FIXED")
        for number in range(vulnerabilities * plan.quality_percent // 100):
            yield self._of_rule(number + 700_000, _pick(_RULES_OF[self.lang, False], _mix(self.key, number)))

    def vulnerability(self, number: int) -> Issue:
        """The vulnerability with this number."""
        roll = _mix(self.key, number)
        if number % 40 == 11:
            return self._known_vulnerability(number, roll)
        if number % 90 == 17:
            return self._of_rule(number, _RULE[_SECRETS_RULE])
        return self._of_rule(number, _pick(_RULES_OF[self.lang, True], roll))

    def hotspots(self, count: int) -> Iterator[Hotspot]:
        for number in range(count):
            roll = _mix(self.key, number + 900_000)
            rule = _pick(_HOTSPOTS_OF[self.lang], roll)
            path, line = self._where(roll, rule)
            review = ("REVIEWED", ("SAFE", "ACKNOWLEDGED", "FIXED", "SAFE")[roll % 4]) if roll % 5 == 0 else ("TO_REVIEW", "")
            created = self._created(number, roll)
            yield Hotspot(key=_key(self.cloud, self.key, self.salt, "h", number), rule=rule.key, category=rule.category,
                          probability=_LIKELIHOOD[rule.severity], status=review[0],
                          resolution="SAFE" if self.cloud and review[1] == "ACKNOWLEDGED" else review[1], path=path, line=line,
                          message=rule.message, created=created, updated=created + roll % 90 * clock.DAY // 3, author=self._author(roll))

    def _of_rule(self, number: int, rule: Rule) -> Issue:
        roll = _mix(self.key, number * 31 + 7)
        path, line = self._where(roll, rule)
        created = self._created(number, roll)
        milder = rule.type == "VULNERABILITY" and rule.severity == "CRITICAL" and roll % 11 == 0  # as a quality profile may say
        severity, impacts = ("MAJOR", (("SECURITY", "MEDIUM"),)) if milder else (rule.severity, rule.impacts)
        return Issue(key=_key(self.cloud, self.key, self.salt, "i", number), rule=rule.key, type=rule.type, severity=severity,
                     impacts=impacts, status=_STATUSES[roll // 7 % 100], path=path, line=line, message=rule.message,
                     hash=hashlib.md5(f"{path}{line}".encode(), usedforsecurity=False).hexdigest(), created=created,
                     updated=created + roll % 60 * clock.DAY // 2, tags=rule.tags, author=self._author(roll), effort=rule.effort,
                     flow=_flow(path, line, rule))

    def _known_vulnerability(self, number: int, roll: int) -> Issue:
        rule = _RULE[_KNOWN_RULE]
        component, file, cve, score, cwe, severity = _pick(_KNOWN_VULNERABILITIES[self.lang], roll)
        created = self._created(number, roll)
        return Issue(key=_key(self.cloud, self.key, self.salt, "i", number), rule=rule.key, severity=severity,
                     impacts=(("SECURITY", _IMPACT_OF[severity]),), status=_STATUSES[roll // 7 % 100], path=file,
                     message=f"Filename: {component} | Reference: {cve} | CVSS Score: {score} | Category: CWE-{cwe} | "
                             f"A published vulnerability affects this version of {component.partition(':')[0]}.",
                     created=created, updated=created, tags=(*rule.tags, f"cwe-{cwe}"), effort=rule.effort)

    def _where(self, roll: int, rule: Rule) -> tuple[str, int]:
        if rule.key == _SECRETS_RULE:
            return ("config/settings.yml", "deploy/values.yaml", ".env.example")[roll % 3], 1 + roll // 3 % 60
        slug = self.key.removeprefix(self.company)[1:].replace("-", "_" if self.lang == "py" else "")
        folder = _pick(_FOLDERS[self.lang], roll // 3).format(company=self.company, slug=slug)
        stem, role = _pick(_STEMS, roll // 17), _pick(_ROLES, roll // 547)
        name = {"java": f"{stem}{role}.java", "js": f"{stem.lower()}{role}.js", "py": f"{stem.lower()}_{role.lower()}.py"}[self.lang]
        return f"{folder}/{name}", 12 + roll // 29 % 480

    def _created(self, number: int, roll: int) -> int:
        """When the analysis ran that found it; the first one found a good part of all."""
        if self.all_at_once or roll // 13 % 100 < _FIRST_ANALYSIS_PERCENT:
            analysis = 0
        else:
            analysis = 1 + roll // 101 % (_ANALYSES - 1)
        start = TODAY - _HISTORY + crc32(self.key.encode()) % (200 * 86_400) * clock.SECOND
        step = (TODAY - start) // _ANALYSES
        moment = start + analysis * step + analysis * 7919 % 3600 * clock.SECOND
        return min(TODAY, moment) // clock.SECOND * clock.SECOND

    def _author(self, roll: int) -> str:
        return f"{_pick(_PEOPLE, roll // 5)}@{self.company}.example"


def _mix(key: str, number: int) -> int:
    """A number that looks arbitrary and is always the same for the same arguments."""
    value = (crc32(key.encode()) + number * 0x9E3779B1) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return value ^ (value >> 15)


def _pick(values: Sequence[_Value], roll: int) -> _Value:
    return values[roll % len(values)]


def _key(cloud: bool, *parts: object) -> str:
    """A UUID on a Server, twenty letters on Cloud."""
    digest = hashlib.md5("/".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
    if cloud:
        return "AZ" + digest[:18]
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _flow(path: str, line: int, rule: Rule) -> tuple[tuple[str, int, str], ...]:
    if "security:" not in rule.key:
        return ()
    return ((path, line, "tainted value is used to perform a security-sensitive operation"),
            (path, max(1, line - 9), "value enters here"))


def _rules(lang: str, types: tuple[str, ...]) -> tuple[Rule, ...]:
    """The rules to draw from; those of middling severity several times, since they are what is found most."""
    return tuple(rule for rule in RULES if rule.lang == lang and rule.type in types for _ in range(_FREQUENCY[rule.severity]))


_RULE = {rule.key: rule for rule in RULES}
_RULES_OF = {(lang, True): _rules(lang, ("VULNERABILITY",)) for lang in _LANGUAGES} | {
    (lang, False): _rules(lang, ("BUG", "CODE_SMELL")) for lang in _LANGUAGES}
_HOTSPOTS_OF = {lang: _rules(lang, ("SECURITY_HOTSPOT",)) for lang in _LANGUAGES}
#: a hundred statuses, drawn from evenly
_STATUSES = ("OPEN",) * 86 + ("CONFIRMED",) * 5 + ("ACCEPTED",) * 5 + ("FALSE_POSITIVE",) * 4
