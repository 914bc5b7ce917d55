"""Checkmarx One's API: paths, parameters, paging. Has never heard of a finding."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from core.hooks.failures import AnswerInvalid, LoginRejected, NotThere, PermissionMissing, UpstreamRefused, WrongService
from plugins.checkmarx.listings import Page, Record, everything, page_of
from plugins.checkmarx.login import Login

PROJECTS_PAGE = 100
RESULTS_PAGE = 1000
_OTHER_PAGE = 100  # the most that DAST gives at once
_QUERIES_AT_ONCE = 20
_ITEM_TOTALS = ("filteredTotalCount", "totalCount")

Query = Mapping[str, Any]


class ProjectForbidden(PermissionMissing):
    """The credential may not read this of one project; others can still be pulled."""

    asset_only = True


class CheckmarxClient:
    """One connection's view of Checkmarx One. It makes no request before it is asked something."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.base = login.account.api

    def version(self) -> str:
        """The version of Checkmarx One; empty when it is not told.

        :raises WrongService: when what answers is not the API of the tenant that gave the token.
        """
        self.login.api()
        try:
            answer = self._get("/api/versions")
        except PermissionMissing:
            return ""
        except (LoginRejected, NotThere, UpstreamRefused, AnswerInvalid) as problem:
            raise WrongService(f"What answers at {self.base} is not the API of tenant '{self.login.account.tenant}'"
                               f"{self._other_home()}: {problem}") from None
        if not isinstance(answer, dict):
            raise WrongService(f"What answers at {self.base} is not the API of Checkmarx One")
        return str(answer.get("CxOne") or "")

    def projects(self) -> Iterator[Record]:
        """Every project that the credential sees, each with its id.

        :raises PullIncomplete: when fewer came than announced.
        """
        yield from everything(self._projects_page, "The projects", PROJECTS_PAGE, _by("id"))

    def first_projects(self) -> Page:
        """One project, if there is any, and how many there are."""
        return self._projects_page(0, 1)

    def project(self, key: str) -> Record:
        """:raises NotThere: when there is no such project, or the credential does not see it."""
        return self._one(f"/api/projects/{quote(key, safe='')}", "id", f"Project '{key}'")

    def last_scans(self, projects: Sequence[str], *, on_main: bool = True, **narrowed: str) -> dict[str, Record]:
        """The newest scan of each project; projects without one that fits are left out.

        :param projects: ids, few enough for one address.
        :param on_main: the newest of the main branch, where the project names one. Whether a project without a scan of its main
            branch is then left out, or told by another branch, differs between accounts.
        :param narrowed: filters such as ``sast_status="Completed"``.
        """
        query = {"project-ids": ",".join(projects), "limit": len(projects), "use-main-branch": "true" if on_main else "false",
                 **{name.replace("_", "-"): value for name, value in narrowed.items()}}
        answer = self._get("/api/projects/last-scan", query)
        if not isinstance(answer, dict) or not all(scan is None or isinstance(scan, dict) for scan in answer.values()):
            raise AnswerInvalid("The newest scans of projects are not told by project")
        if not all(scan is None or scan.get("id") for scan in answer.values()):
            raise AnswerInvalid("A newest scan has no id")
        return {project: answer[project] for project in projects if answer.get(project)}

    def has_scans(self, project: str) -> bool:
        """Whether a project has any scan, whatever became of it."""
        answer = self._get("/api/scans", {"project-id": project, "limit": 1})
        return page_of(answer, "scans", _ITEM_TOTALS, f"The scans of project '{project}'").total > 0

    def results(self, scan: str, states: Sequence[str] = ()) -> Iterator[Record]:
        """All results of a scan, of every engine but API security.

        :param states: only results in these states.
        :raises NotThere: when the scan is gone, or nothing of it is published.
        """
        what = f"The results of scan {scan}"
        narrowed = {"state": ",".join(states)} if states else {}

        def read(number: int, size: int) -> Page:
            # the offset of this endpoint counts pages, everywhere else it counts records
            answer = self._get_of_project("/api/results", {"scan-id": scan, "offset": number, "limit": size, **narrowed})
            return page_of(answer, "results", ("totalCount",), what)

        yield from everything(read, what, RESULTS_PAGE)

    def summaries(self, scans: Sequence[str]) -> dict[str, Record]:
        """Counts of each scan by engine; scans that are gone are left out.

        :param scans: ids, few enough for one address.
        """
        try:
            answer = self._get("/api/scan-summary", {"scan-ids": ",".join(scans), "include-queries": "false", "include-files": "false",
                                                     "apply-predicates": "true"})
        except NotThere:
            return {}
        page = page_of({"totalCount": 0, **answer} if isinstance(answer, dict) else answer, "scansSummaries", ("totalCount",),
                       "The summaries of scans", "scanId")
        return {summary["scanId"]: summary for summary in page.records}

    def api_risks(self, scan: str) -> Iterator[Record]:
        """What API security found in a scan; nothing when it knows no such scan.

        :raises ProjectForbidden: when the credential may not read it.
        """
        what = f"The API risks of scan {scan}"

        def read(number: int, size: int) -> Page:
            answer = self._get_of_project(f"/api/apisec/static/api/risks/{quote(scan, safe='')}", {"page": number + 1, "per_page": size})
            return page_of(answer, "entries", ("total_records",), what, "risk_id")

        try:
            yield from everything(read, what, _OTHER_PAGE, _by("risk_id"))
        except NotThere:
            return

    def query_texts(self, queries: Sequence[str]) -> Iterator[Record]:
        """The texts of SAST queries by ``queryId``; queries without one are left out, and all when the service tells none."""
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            chunk = queries[start:start + _QUERIES_AT_ONCE]
            found = self._query_texts(chunk)
            if len(found) <= 1 < len(chunk):  # this service takes one at a time
                found = [text for query in chunk for text in self._query_texts([query])]
            yield from found

    def environments(self) -> Iterator[Record]:
        """Every DAST environment, each with its ``environmentId``.

        :raises PermissionMissing, NotThere: when DAST is not licensed, or not for this credential.
        """
        yield from everything(self._environments_page, "The DAST environments", _OTHER_PAGE, _by("environmentId"))

    def first_environments(self) -> Page:
        """A few environments, and how many there are; refusals as for ``environments``."""
        return self._environments_page(0, _OTHER_PAGE)

    def environment(self, key: str) -> Record:
        """:raises NotThere: when there is no such environment."""
        return self._one(f"/api/dast/scans/environment/{quote(key, safe='')}", "environmentId", f"DAST environment '{key}'")

    def dast_scans(self, environment: str) -> Iterator[Record]:
        """All scans of an environment, whatever became of them, in no order to rely on."""
        what = f"The scans of DAST environment {environment}"

        def read(number: int, size: int) -> Page:
            answer = self._get("/api/dast/scans/scans", {"environmentId": environment, "from": number * size, "to": (number + 1) * size,
                                                         "sort": "updatetime:desc"})
            return page_of(answer, "scans", ("totalScans", "totalCount"), what, "scanId")

        yield from everything(read, what, _OTHER_PAGE, _by("scanId"))

    def dast_results(self, scan: str) -> Iterator[Record]:
        """All results of a DAST scan.

        :raises NotThere: when the scan is gone.
        """
        what = f"The results of DAST scan {scan}"

        def read(number: int, size: int) -> Page:
            answer = self._get_of_project(f"/api/dast/mfe-results/results/{quote(scan, safe='')}", {"page": number + 1, "per_page": size})
            return page_of(answer, "results", ("total",), what)

        yield from everything(read, what, _OTHER_PAGE)

    def _projects_page(self, number: int, size: int) -> Page:
        answer = self._get("/api/projects", {"offset": number * size, "limit": size})
        return page_of(answer, "projects", _ITEM_TOTALS, "The projects", "id")

    def _environments_page(self, number: int, size: int) -> Page:
        # whether ``to`` belongs to the window differs between accounts, so the windows touch, and what comes twice is dropped
        answer = self._get("/api/dast/scans/environments", {"from": number * size, "to": (number + 1) * size})
        return page_of(answer, "environments", ("totalItems", "totalCount"), "The DAST environments", "environmentId")

    def _query_texts(self, queries: Sequence[str]) -> list[Record]:
        try:
            answer = self._get("/api/queries/descriptions", {"ids": list(queries)})
        except (NotThere, PermissionMissing, UpstreamRefused, AnswerInvalid):
            return []
        return [text for text in answer if isinstance(text, dict) and text.get("queryId")] if isinstance(answer, list) else []

    def _one(self, path: str, key: str, what: str) -> Record:
        try:
            answer = self._get(path)
        except UpstreamRefused:
            raise NotThere(f"{what} does not exist") from None  # 400: not even the shape of an id
        if not isinstance(answer, dict) or not answer.get(key):
            raise AnswerInvalid(f"{what}: the answer lacks its {key}")
        return answer

    def _get_of_project(self, path: str, query: Query) -> Any:
        try:
            return self._get(path, query)
        except PermissionMissing as problem:
            raise ProjectForbidden(str(problem)) from None

    def _get(self, path: str, query: Query | None = None) -> Any:
        api = self.login.api()
        try:
            return api.get(path, query)
        except LoginRejected:
            # tokens end early when a session is closed or a licence changes; the credential may still be good
            return self.login.renewed(api).get(path, query)

    def _other_home(self) -> str:
        """Where the tenant lives, when the token says that it is elsewhere."""
        home = self.login.claims.get("ast-base-url")
        return f", which lives at {home}" if isinstance(home, str) and home.rstrip("/") != self.base else ""


def _by(field: str) -> Any:
    return lambda record: record[field]
