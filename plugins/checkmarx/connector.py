"""The Checkmarx One connector: joins client and mapper into the pull that core asks for."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from core import clock
from core.hooks.contracts import (
    AssetDraft,
    CheckResult,
    FindingDraft,
    Pull,
    RuleDraft,
    SettingsSchema,
    Unmapped,
    UpstreamMaker,
    WebhookEvent,
)
from core.hooks.failures import NotThere, PermissionMissing, PullIncomplete
from plugins.checkmarx import environments, mapper, scans, webhooks
from plugins.checkmarx.client import CheckmarxClient
from plugins.checkmarx.environments import Environment
from plugins.checkmarx.listings import Record
from plugins.checkmarx.login import Login
from plugins.checkmarx.mapper import Keys, Links, Origin, Target
from plugins.checkmarx.scans import API_SECURITY, ENGINES, ProjectScans
from plugins.checkmarx.settings import CheckmarxSettings, Coverage, account_of, claims_of

_WARN_BEFORE = 30 * clock.DAY
_NO_PROJECT = ("Checkmarx One shows this credential no project: put it into the groups of the projects, or give it a role that sees them "
               "all. For a tenant without projects choose 'DAST only'")


class CheckmarxConnector:
    """Checkmarx One."""

    source = "checkmarx"
    title = "Checkmarx One"
    description = "Results of every engine of Checkmarx One for projects, and of DAST for environments."
    aliases: Sequence[str] = ()
    settings_schema: type[SettingsSchema] = CheckmarxSettings
    webhook_secret_setting = "webhook_secret"  # noqa: S105 - the name of the setting

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> Pull:
        return CheckmarxPull(settings, upstream)

    def read_webhook(self, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        return webhooks.read(secret, headers, body)


class CheckmarxPull:
    """One opened connection; see ``core.hooks.contracts.Pull``."""

    def __init__(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> None:
        self._client = CheckmarxClient(Login(upstream, account_of(settings)))
        self._links = Links(self._client.base)
        self._coverage = settings.get("coverage") or Coverage.AUTO
        with_apis = settings.get("include_api_security", True)
        self._engines = [engine for engine in ENGINES if with_apis or engine.name != API_SECURITY]
        self._names: dict[str, str] = {}
        self._scans: dict[str, ProjectScans] = {}
        self._environments: dict[str, Environment] = {}
        self._rules: dict[str, RuleDraft] = {}

    def check(self) -> CheckResult:
        client = self._client
        version = client.version()
        account, claims = client.login.account, client.login.claims
        projects = self._readable_projects() if self._coverage != Coverage.DAST else None
        found = self._readable_environments() if self._coverage != Coverage.PROJECTS else None
        expiry = _key_expiry(account.form.get("refresh_token", ""))
        facts = {
            "Service": f"Checkmarx One {version}".rstrip(), "Tenant": account.tenant, "Address": client.base,
            "Signed in as": str(claims.get("preferred_username") or claims.get("name") or ""),
            "Projects visible": "" if projects is None else str(projects),
            "DAST environments": "not licensed, or not for this credential" if found is None and self._coverage == Coverage.AUTO
            else "" if found is None else str(found),
            "API key expires": _day(expiry),
        }
        seen = [_counted(number, noun) for number, noun in ((projects, "project"), (found, "DAST environment")) if number is not None]
        message = f"Connected to tenant '{account.tenant}' of Checkmarx One: {' and '.join(seen)} visible"
        return CheckResult(message + _expiry_warning(expiry), {name: value for name, value in facts.items() if value})

    def catalog(self) -> Iterator[AssetDraft]:
        if self._coverage != Coverage.DAST:
            yield from self._all_projects()
        if self._coverage != Coverage.PROJECTS:
            yield from self._all_environments()

    def asset(self, key: str) -> AssetDraft:
        environment = mapper.environment_of(key)
        if environment:
            record = self._client.environment(environment)
            self._environments[environment] = Environment.of(record)
            return mapper.environment_to_asset(record, self._links)
        project = self._client.project(key)
        return self._asset(project, scans.latest(self._client, [key], self._engines)[key])

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        environment = mapper.environment_of(asset.key)
        found = self._of_environment(environment) if environment else self._of_project(asset.key)
        for entry in found:
            if isinstance(entry, FindingDraft) and entry.rule and entry.rule not in self._rules and not mapper.query_of(entry.rule):
                self._rules[entry.rule] = mapper.rule_of(entry)
            yield entry

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        """Texts of SAST queries come from the service; those of other engines from the findings that this pull has given."""
        queries = [query for query in map(mapper.query_of, keys) if query]
        yield from (self._rules[key] for key in keys if key in self._rules)
        for text in self._client.query_texts(queries):
            if str(text["queryId"]) in queries:
                yield mapper.to_rule(text)

    # -- the catalog --------------------------------------------------------------------------------------------------------------

    def _all_projects(self) -> Iterator[AssetDraft]:
        none = True
        for chunk in scans.chunks(self._client.projects(), scans.PROJECTS_AT_ONCE):
            none = False
            latest = scans.latest(self._client, [project["id"] for project in chunk], self._engines)
            yield from (self._asset(project, latest[project["id"]]) for project in chunk)
        if none:
            # nearly always a matter of rights; ending normally would prune every project
            raise PermissionMissing(_NO_PROJECT)

    def _asset(self, project: Record, found: ProjectScans) -> AssetDraft:
        self._names[project["id"]] = project.get("name") or project["id"]
        self._scans[project["id"]] = found
        return mapper.to_asset(project, found, self._links)

    def _all_environments(self) -> Iterator[AssetDraft]:
        listed = self._client.environments()
        try:
            first = next(listed, None)
        except (PermissionMissing, NotThere) as problem:
            self._forgive_missing_dast(problem)
            return
        for record in chain([] if first is None else [first], listed):
            environment = Environment.of(record)
            self._environments[environment.id] = environment
            yield mapper.environment_to_asset(record, self._links)

    def _forgive_missing_dast(self, problem: Exception) -> None:
        """Most tenants have no DAST, and that is no failure. Where it is licensed, or asked for, it must be readable, since
        going on without it would prune its environments."""
        licence = self._client.login.claims.get("ast-license")
        data = licence.get("LicenseData") if isinstance(licence, dict) else None
        if self._coverage != Coverage.AUTO or (isinstance(data, dict) and data.get("dastEnabled") is True):
            raise PermissionMissing(f"The DAST environments may not be read; give the credential a role for DAST, or choose "
                                    f"'Projects only': {problem}") from None

    # -- the findings -------------------------------------------------------------------------------------------------------------

    def _of_project(self, project: str) -> Iterator[FindingDraft | Unmapped]:
        if project not in self._scans:
            self._scans[project] = scans.latest(self._client, [project], self._engines)[project]
        found = self._scans[project]
        if not found.by_engine:
            yield from self._of_unfinished(self._client.has_scans(project), f"project '{project}'")
            return
        risks, forbidden = self._risks(found)
        endpoints = {str(risk["sast_risk_id"]): mapper.risk_endpoint(risk) for risk in risks if scans.is_second_view(risk, found)}
        for scan in found.to_read:
            yield from self._of_scan(Origin(project, scan, self._links), found, endpoints)
        if risks:
            origin = Origin(project, found.by_engine[API_SECURITY].id, self._links)
            own = (risk for risk in risks if not scans.is_second_view(risk, found))
            yield from _mapped(own, mapper.risk_key, lambda risk: str(risk["risk_id"]),
                               lambda risk, key: mapper.risk_to_finding(risk, origin, key))
        if forbidden is not None:
            raise forbidden

    def _of_scan(self, origin: Origin, found: ProjectScans, endpoints: Mapping[str, str]) -> Iterator[FindingDraft | Unmapped]:
        def to_draft(record: Record, key: str) -> FindingDraft:
            return mapper.result_to_finding(record, origin, key, _endpoint(record, endpoints))

        yield from _mapped(self._results(origin.scan, found), mapper.natural_key, mapper.result_mark, to_draft)

    def _of_unfinished(self, has_scans: bool, what: str) -> Iterator[Unmapped]:
        """Without any scan there is nothing to tell. With scans of which none is finished, nobody knows what is there, and what was
        found by a scan that is deleted by now must not be closed."""
        if has_scans:
            yield Unmapped(f"No scan of {what} is finished")

    def _risks(self, found: ProjectScans) -> tuple[list[Record], PermissionMissing | None]:
        """The API risks, few enough to be kept, and the refusal when they may not be read; the other results count all the same."""
        scan = found.by_engine.get(API_SECURITY)
        if scan is None:
            return [], None
        try:
            return list(self._client.api_risks(scan.id)), None
        except PermissionMissing as problem:
            return [], problem

    def _results(self, scan: str, found: ProjectScans) -> Iterator[Record]:
        """Results of the scan that it speaks for.

        :raises PullIncomplete: when there should be some, but none are published yet or any more.
        """
        none = True
        try:
            for record in self._client.results(scan):
                none = False
                if found.speaks(scan, str(record.get("type") or "")):
                    yield record
        except NotThere:
            if not none:
                raise
        if none:
            self._demand_empty(scan)

    def _demand_empty(self, scan: str) -> None:
        # a scan that has just completed is sometimes answered like one without results
        summary = self._client.summaries([scan]).get(scan)
        if summary is None:
            raise PullIncomplete(f"The results of scan {scan} are not there any more")
        counted = sum(scans.counted(summary, engine) for engine in ENGINES if engine.name != API_SECURITY)
        if counted:
            raise PullIncomplete(f"The results of scan {scan} are not published yet: 0 came of {counted}")

    def _of_environment(self, key: str) -> Iterator[FindingDraft | Unmapped]:
        if key not in self._environments:
            self._environments[key] = Environment.of(self._client.environment(key))
        environment = self._environments[key]
        found = environments.scans_of(self._client, environment)
        if not found.newest:
            yield from self._of_unfinished(found.exist, f"DAST environment '{key}'")
            return
        target, none = self._target(environment), True
        for entry in _mapped(self._client.dast_results(found.newest), mapper.dast_key, mapper.result_mark,
                             lambda record, key: mapper.dast_to_finding(record, target, key)):
            none = False
            yield entry
        if none and environment.announced and environment.finished_scan:
            raise PullIncomplete(f"The results of DAST scan {found.newest} are not published yet: 0 came of {environment.announced}")

    def _target(self, environment: Environment) -> Target:
        project = environment.projects[0] if environment.projects else ""
        return Target(environment.id, environment.url, project, self._name(project), self._links.dast)

    def _name(self, project: str) -> str:
        """A project's name; empty when there is none, or the credential does not see it."""
        if project and project not in self._names:
            try:
                self._names[project] = self._client.project(project).get("name") or project
            except (NotThere, PermissionMissing):
                self._names[project] = ""
        return self._names.get(project, "")

    # -- the check ----------------------------------------------------------------------------------------------------------------

    def _readable_projects(self) -> int:
        """How many projects the credential sees; the results of one of them are tried.

        :raises PermissionMissing: when it sees none, or not their results.
        """
        page = self._client.first_projects()
        if not page.records:
            raise PermissionMissing(_NO_PROJECT)
        project = page.records[0]["id"]
        try:
            for scan in scans.latest(self._client, [project], self._engines)[project].to_read[:1]:
                next(self._client.results(scan), None)
        except PermissionMissing as problem:
            raise PermissionMissing(f"The credential sees projects, but may not read their results: {problem}") from None
        except NotThere:
            pass  # a scan without results is answered like that
        return page.total

    def _readable_environments(self) -> int | None:
        """How many DAST environments there are; None when DAST is not licensed."""
        try:
            return self._client.first_environments().total
        except (PermissionMissing, NotThere) as problem:
            self._forgive_missing_dast(problem)
            return None


def _mapped(records: Iterable[Record], natural: Callable[[Record], str], mark: Callable[[Record], str],
            to_draft: Callable[[Record, str], FindingDraft]) -> Iterator[FindingDraft | Unmapped]:
    """Map each record under a key of its own; one that cannot be mapped keeps its key if it has one."""
    keys = Keys()
    for record in records:
        key = None
        try:
            key = keys.key(natural(record), mark(record))
            entry: FindingDraft | Unmapped = to_draft(record, key)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
            entry = Unmapped(f"{type(problem).__name__}: {problem}", key)
        yield entry


def _endpoint(record: Record, endpoints: Mapping[str, str]) -> str:
    """The endpoint that leads to a SAST result, if API security knows one."""
    return endpoints.get(str((record.get("data") or {}).get("resultHash") or record.get("id")), "") if endpoints else ""


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _key_expiry(api_key: str) -> int | None:
    """When an API key says that it ends, in milliseconds; None when it does not say."""
    expires = claims_of(api_key).get("exp")
    return int(expires * clock.SECOND) if isinstance(expires, (int, float)) and expires > 0 else None


def _day(moment: int | None) -> str:
    return (clock.iso(moment) or "")[:10]


def _expiry_warning(expiry: int | None) -> str:
    return f". The API key expires on {_day(expiry)}" if expiry is not None and expiry - clock.now() < _WARN_BEFORE else ""
