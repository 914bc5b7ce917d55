"""Worlds to begin with: two companies, their projects and environments, and results computed from index arithmetic alone.

Nothing here is random, so two processes that ask for the same plan hold the same world; credentials are the one exception.
Results of a scan are made when somebody first asks for them, which keeps the start cheap.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

from core import clock
from plugins.checkmarx.upstream.contents import ADVISORIES, ALERTS, API_RISKS, IMAGE_PACKAGES, MISCONFIGURATIONS, QUERIES, SECRETS
from plugins.checkmarx.upstream.world import (
    ALL_ENGINES,
    TODAY,
    Attack,
    DastScan,
    Environment,
    Project,
    Result,
    Risk,
    Scan,
    Tenant,
    World,
    stable_id,
)

_Value = TypeVar("_Value")

TENANTS = ("northwind", "contoso")
CUSTOM_STATE = "Accepted Risk"
_NAMES = {
    "northwind": ("storefront-web", "checkout-api", "payment-gateway", "order-service", "product-catalogue", "loyalty-programme",
                  "warehouse-management", "mobile-app-backend"),
    "contoso": ("claims-portal", "policy-administration", "underwriting-workbench", "broker-gateway", "customer-self-service",
                "document-vault", "rating-tables", "telematics-ingest"),
}
_SITES = {
    "northwind": (("Storefront staging", "https://shop.northwind.example"), ("Partner API staging", "https://api.northwind.example")),
    "contoso": (("Claims portal staging", "https://claims.contoso.example"), ("Broker gateway test", "https://brokers.contoso.example")),
}
_LANGUAGES = ("Java", "JavaScript", "Python")
_MANAGERS = {"Java": "Maven", "JavaScript": "Npm", "Python": "Python"}
_FOLDERS = {"Java": "/src/main/java/com/{company}/{layer}/{stem}.java", "JavaScript": "/server/{layer}/{stem}.js",
            "Python": "/{company}/{layer}/{stem}.py"}
_LAYERS = ("web", "service", "data", "batch", "config")
_STEMS = ("Account", "Archive", "Basket", "Catalog", "Contract", "Customer", "Delivery", "Document", "Export", "Import", "Invoice",
          "Ledger", "Login", "Order", "Payment", "Policy", "Profile", "Report", "Search", "Session", "Upload")
_PATHS = ("/search", "/login", "/basket", "/orders", "/profile", "/upload", "/api/v1/quotes", "/reports")
#: a hundred results by kind, and a hundred by what people decided
_KINDS = ("sast",) * 44 + ("sca",) * 28 + ("kics",) * 12 + ("containers",) * 11 + ("secret",) * 3 + ("scorecard",) * 2
_STATES = (("TO_VERIFY",) * 70 + ("CONFIRMED",) * 10 + ("URGENT",) * 4 + ("NOT_EXPLOITABLE",) * 8 + ("PROPOSED_NOT_EXPLOITABLE",) * 4
           + (CUSTOM_STATE,) * 4)
_DAST_STATES = ("To Verify", "To Verify", "Confirmed", "To Verify", "Urgent", "To Verify", "Proposed Not Exploitable", "Not Exploitable")


@dataclass(frozen=True, slots=True)
class Plan:
    """How large a world is.

    :ivar results: of the newest scans of main branches, API risks aside.
    :ivar largest: how many of them the largest project has.
    :ivar attacks: what DAST finds, in all environments together.
    """

    projects: int = 16
    results: int = 1_200
    largest: int = 190
    attacks: int = 60


DEMO = Plan()


def default_world(plan: Plan = DEMO) -> World:
    """The two companies, without credentials: admit some."""
    sizes = _sizes(plan)
    projects: dict[str, list[Project]] = {tenant: [] for tenant in TENANTS}
    for number, size in enumerate(sizes):
        tenant = TENANTS[number % len(TENANTS)]
        projects[tenant].append(_project(number, tenant, len(projects[tenant]), size))
    return World({tenant: Tenant(tenant, {project.id: project for project in projects[tenant]},
                                 {environment.id: environment for environment in _environments(tenant, projects[tenant], plan)},
                                 custom_states=(CUSTOM_STATE,)) for tenant in TENANTS})


def many_results(project: str, results: int, scan: str = "") -> Scan:
    """A scan of so many results, for measuring."""
    source = _Source("northwind", project, "Java")
    return Scan(scan or stable_id(project, "scan"), make_results=partial(source.results, results))


def _sizes(plan: Plan) -> list[int]:
    """How many results each project has: one large, most middling, and the last with none."""
    if plan.projects < 3:
        return [plan.results, 0][:plan.projects]
    rest, weights = plan.results - plan.largest, [7 + 5 * number % 11 for number in range(plan.projects - 2)]
    sizes = [rest * weight // sum(weights) for weight in weights]
    sizes[0] += rest - sum(sizes)
    return [plan.largest, *sizes, 0]


def _project(number: int, tenant: str, place: int, size: int) -> Project:
    names = _NAMES[tenant]
    name = names[place % len(names)] + (f"-{place // len(names)}" if place >= len(names) else "")
    key = stable_id(tenant, name)
    source = _Source(tenant, key, _LANGUAGES[number % len(_LANGUAGES)])
    return Project(key, f"{tenant}/{name}", scans=list(_scans(number, source, size)), main_branch="" if number % 7 == 6 else "main",
                   tags={"customer": tenant, "application": name.partition("-")[0], **({"pci": ""} if number % 4 == 0 else {})},
                   repository=f"https://github.com/{tenant}/{name}", criticality=1 + number % 5,
                   created=TODAY - (400 + number * 11) * clock.DAY)


def _scans(number: int, source: "_Source", size: int) -> Iterator[Scan]:
    """None for every project without results; else the present one, before it one that found more, and beside it other branches."""
    if size == 0:
        return
    made, now = stable_id(source.key, "now"), TODAY - number * 5 * clock.HOUR
    fixed = {("sast", "HIGH"): 1 + number % 3, ("sca", "MEDIUM"): number % 4}
    more = size + sum(fixed.values())
    yield Scan(stable_id(source.key, "before"), created=now - 30 * clock.DAY, make_results=partial(source.results, more))
    whole = Scan(made, created=now, make_results=partial(source.results, size), make_risks=partial(source.risks, size), fixed=fixed)
    if number % 5 == 3:  # today's pipeline ran SAST alone; last week's ran all
        yield replace(whole, id=stable_id(source.key, "week"), created=now - 7 * clock.DAY)
        yield replace(whole, engines={"sast": "Completed"}, make_results=partial(source.results, size, ("sast",)), make_risks=tuple)
    elif number % 5 == 4:  # the container engine found no image this time
        yield replace(whole, status="Partial", engines={**dict.fromkeys(ALL_ENGINES, "Completed"), "containers": "Failed"},
                      make_results=partial(source.results, size, ("sast", "sca", "kics", "secret", "scorecard")))
    else:
        yield whole
    if number % 3 == 0:
        yield Scan(stable_id(source.key, "feature"), "feature/checkout", now + clock.HOUR, make_results=partial(source.results, size // 2))
    if number % 4 == 1:
        yield Scan(stable_id(source.key, "running"), created=now + 2 * clock.HOUR, status="Running",
                   engines={"sast": "Completed", "sca": "Running"})


@dataclass(frozen=True, slots=True)
class _Source:
    """Computes what is found in one project."""

    company: str
    key: str
    language: str

    def results(self, count: int, kinds: Sequence[str] = ()) -> Iterator[Result]:
        """The first so many results, of some kinds or of all."""
        makers = {"sast": self._sast, "sca": self._sca, "kics": self._kics, "containers": self._container, "secret": self._secret,
                  "scorecard": self._scorecard}
        for number in range(count):
            kind = _KINDS[number * 37 % len(_KINDS)]
            if not kinds or kind in kinds:
                yield makers[kind](number, _mix(self.key, number))

    def risks(self, count: int) -> Iterator[Risk]:
        """Second views of some SAST results, and what the specification of the API alone shows."""
        sast = [result for result in self.results(count, ("sast",)) if result.data["group"].endswith("High_Risk")]
        for number, result in enumerate(sast[:6]):
            yield Risk(stable_id(self.key, "risk", number), result.data["queryName"], result.severity.lower(), "GET",
                       f"/v1/{_pick(_STEMS, number).lower()}s", "code", result.id, found=result.first_found)
        for number, (method, url, name, severity) in enumerate(API_RISKS[:1 + _mix(self.key, 1) % len(API_RISKS)]):
            yield Risk(stable_id(self.key, "documented", number), name, severity, method, url, "documentation",
                       state="not_exploitable" if number == 3 else "to_verify", found=TODAY - 20 * clock.DAY)

    def _of(self, number: int, roll: int, **told: Any) -> Result:
        first = TODAY - roll % 300 * clock.DAY - roll % 86_400 * clock.SECOND
        state = _STATES[roll // 7 % len(_STATES)]
        return Result(state=state, status="NEW" if roll % 13 == 0 else "RECURRENT", first_found=first,
                      first_scan=stable_id(self.key, "first", first // (30 * clock.DAY)),
                      comment="Agreed with the architects." if state in ("NOT_EXPLOITABLE", CUSTOM_STATE) else "", **told)

    def _sast(self, number: int, roll: int) -> Result:
        query = _pick([query for query in QUERIES if query.language == self.language], roll)
        digest = _base64(self.key, "sast", number)
        nodes = [self._node(number, place, name, roll) for place, name in enumerate(query.steps)]
        return self._of(
            number, roll, type="sast", id=digest, alternate=digest, similarity=str(_mix(query.name, number // 2) - 2**31),
            severity=query.severity, description=f"{query.text} See {nodes[0]['fileName']}.\n\n",
            data={"queryId": query.id, "queryName": query.name, "group": query.group, "resultHash": digest, "languageName": query.language,
                  "nodes": nodes},
            more={"cweId": query.cwe, "compliances": list(query.compliances) if query.compliances else None})

    def _node(self, number: int, place: int, name: str, roll: int) -> dict[str, Any]:
        stem = _pick(_STEMS, roll // 11 + place)
        file = _FOLDERS[self.language].format(company=self.company, layer=_pick(_LAYERS, roll // 3 + place), stem=stem)
        line = 12 + roll // 29 % 400 + place
        return {"id": _base64(self.key, number, place), "line": line, "name": name, "column": 1 + roll % 60, "length": len(name),
                "method": f"handle{stem}", "nodeID": 1000 + roll % 9000, "domType": "MethodInvokeExpr", "fileName": file,
                "fullName": f"{self.company}.{stem}.{name}", "typeName": "String", "methodLine": max(1, line - 7), "definitions": "1"}

    def _sca(self, number: int, roll: int) -> Result:
        known = _pick([advisory for advisory in ADVISORIES if advisory.manager == _MANAGERS[self.language]], number)
        # the same advisory for many packages of a project, as wrappers and copies of a library bring it
        package = known.package if number % 5 == 0 else f"{known.package}-{_pick(_LAYERS, number)}{number}"
        noise = 0.000000190734863 if known.score % 1 else 0.0
        is_cve = known.id.startswith("CVE-")
        return self._of(
            number, roll, type="sca", id=known.id, alternate=_base64(self.key, "sca", number), severity=known.severity,
            description=known.text,
            data={"packageIdentifier": f"{known.manager}-{package}-{known.version}", "publishedAt": "2023-09-29T10:44:00+00:00",
                  "recommendations": "", "recommendedVersion": known.fixed, "exploitableMethods": None,
                  "packageData": [{"url": f"https://nvd.nist.gov/vuln/detail/{known.id}", "type": "Advisory"}] if is_cve else None},
            more={"cvssScore": known.score + noise, "cveName": known.id if is_cve else f"CWE-{known.cwe}", "cweId": f"CWE-{known.cwe}",
                  "cvss": {"version": 3, "attackVector": "NETWORK", "attackComplexity": "LOW", "availability": "HIGH"}})

    def _kics(self, number: int, roll: int) -> Result:
        known = _pick(MISCONFIGURATIONS, roll)
        return self._of(
            number, roll, type="kics", id=str(100_000_000 + _mix(self.key, number) % 899_999_999),
            similarity=hashlib.sha256(f"{self.key}{number}kics".encode()).hexdigest(), severity=known.severity, description=known.text,
            data={"queryId": f"{known.id} [Taken from query_id]", "queryName": known.name, "group": f"{known.group} [Taken from category]",
                  "queryUrl": f"{known.name} [Taken from query_name]", "fileName": known.file, "line": 1 + roll % 40,
                  "platform": known.platform, "issueType": "MissingAttribute", "expectedValue": known.expected, "value": known.found})

    def _container(self, number: int, roll: int) -> Result:
        package, version, cve, score, severity, cwe = _pick(IMAGE_PACKAGES, number)
        return self._of(
            number, roll, type="containers", id=cve, alternate=_base64(self.key, "image", number), severity=severity,
            description=f"A published vulnerability affects this version of {package}.",
            data={"packageName": package, "packageVersion": version, "imageName": f"registry.{self.company}.example/service-{number}",
                  "imageTag": f"1.{roll % 30}.0", "imageFilePath": "/deploy/Dockerfile", "imageOrigin": "Dockerfile"},
            more={"cvssScore": score, "cveName": cve, "cweId": f"CWE-{cwe}", "cvss": None})

    def _secret(self, number: int, roll: int) -> Result:
        rule, name, severity, file = _pick(SECRETS, roll)
        return self._of(
            number, roll, type="sscs-secret-detection", id=_base64(self.key, "secret", number), severity=severity,
            description=f"{name} has detected secret for file {file}.",
            data={"ruleId": rule, "ruleName": name, "fileName": file, "line": 1 + roll % 60, "snippet": "AKIA****************",
                  "ruleDescription": f"Found a {name}.", "remediation": "Revoke it, and keep it in a secret store.", "validity": "Unknown",
                  "isInSource": True})

    def _scorecard(self, number: int, roll: int) -> Result:
        return self._of(number, roll, type="sscs-scorecard", id=_base64(self.key, "scorecard", number), severity="LOW",
                        description="Changes reach the main branch without a review.",
                        data={"ruleName": "Branch-Protection", "remediation": "Protect the main branch."})


def _environments(tenant: str, projects: Sequence[Project], plan: Plan) -> Iterator[Environment]:
    """Two for each company, of four kinds in all: as most are, with an older finished scan alone, worded at length, and with no project."""
    each = plan.attacks // (2 * len(TENANTS))
    for place, (name, url) in enumerate(_SITES[tenant]):
        key = stable_id(tenant, url)
        kind = TENANTS.index(tenant) * 2 + place
        earlier = each if kind == 1 else each + 3
        before = DastScan(stable_id(key, "before"), updated=TODAY - 20 * clock.DAY, attacks=list(_attacks(key, url, earlier)))
        last = DastScan(stable_id(key, "last"), "Finished@Scan finished successfully" if kind == 2 else "Completed",
                        TODAY - 2 * clock.DAY, list(_attacks(key, url, each)))
        scans = [before, replace(last, status="Failed", attacks=[])] if kind == 1 else [before, last]
        yield Environment(key, name, url, scans, [projects[place].id] if kind != 3 and len(projects) > place else (), ("staging",))


def _attacks(key: str, url: str, count: int) -> Iterator[Attack]:
    for number in range(count):
        alert, path = _pick(ALERTS, number), _PATHS[number // len(ALERTS) % len(_PATHS)]
        yield Attack(stable_id(key, "attack", number), alert.name, alert.severity, _pick(_DAST_STATES, number * 3),
                     "New" if number % 5 == 0 else "Recurrent", f"{url}{path}?q={number}", "GET" if number % 3 else "POST", path, alert.cwe,
                     (alert.owasp,), alert.text, alert.solution)


def _mix(key: str, number: int) -> int:
    """A number that looks arbitrary and is always the same for the same arguments."""
    value = (crc32(key.encode()) + number * 0x9E3779B1) & 0xFFFFFFFF
    value = ((value ^ (value >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return value ^ (value >> 15)


def _pick(values: Sequence[_Value], roll: int) -> _Value:
    return values[roll % len(values)]


def _base64(*parts: object) -> str:
    return base64.b64encode(hashlib.sha1("/".join(map(str, parts)).encode(), usedforsecurity=False).digest()).decode()
