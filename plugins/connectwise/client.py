"""ConnectWise's REST API: where it answers, both ways of paging, conditions, callbacks. Has never heard of a customer."""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from requests.utils import parse_header_links

from core.hooks.contracts import UpstreamMaker
from core.hooks.failures import (
    AnswerInvalid,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    PullIncomplete,
    SettingsInvalid,
    UpstreamRefused,
    WrongService,
)
from plugins.connectwise.mapper import COMPANY_FIELDS, CONFIGURATION_FIELDS, Record
from plugins.connectwise.settings import (
    PAGES,
    company_conditions,
    configuration_conditions,
    is_cloud,
    site_of,
)

T = TypeVar("T")
PAGE_SIZE = 1000  # the most that it gives; what asks for more is refused by some servers
COMPANIES, CONFIGURATIONS, CALLBACKS = "/company/companies", "/company/configurations", "/system/callbacks"
_ROUTER = "v4_6_release/"  # leads to the tenant's own release in the cloud, and is the only one elsewhere
_IDS_AT_ONCE = 200
_CODEBASE = re.compile(r"[A-Za-z0-9_.-]+/?")
_KEY_PATH = re.compile(r"/system/callbacks/\d+/keys/[A-Za-z0-9_-]+")

_lock = threading.Lock()
#: address and codebase by the site and company that were given; found again when calls begin to give 404
_places: dict[tuple[str, str], tuple[str, str]] = {}


class ConnectWiseClient:
    """One connection's view of ConnectWise. It makes no request before it is asked something.

    :raises SettingsInvalid: when the site names no host.
    """

    def __init__(self, settings: Mapping[str, Any], upstream: UpstreamMaker, page_size: int = PAGE_SIZE) -> None:
        try:
            self._site = site_of(settings["site"])
        except (ValueError, KeyError) as problem:
            raise SettingsInvalid(f"ConnectWise's site cannot be read: {problem}") from None
        self.company_login: str = settings["company"]
        self._settings = settings
        self._maker = upstream
        self._page_size = page_size
        self._ca_pem = settings.get("ca_certificate") or ""
        self._opened: dict[str, Any] = {}
        self._was_looked_up = False

    @property
    def site(self) -> str:
        """The address that was given, as the API is reached at it."""
        return self._site.api

    # -- what it is -----------------------------------------------------------------------------------------------------------

    def company_info(self) -> Record:
        """What the site tells of the company that signs in, without credentials. Remembers where it answers.

        :raises OrganizationUnknown: when the site knows no such company.
        :raises WrongService: when it is no ConnectWise.
        """
        where = f"{self._site.api}/login/companyinfo"
        try:
            told = self._maker(self._site.api, ca_pem=self._ca_pem).get(f"/login/companyinfo/{quote(self.company_login, safe='')}")
        except NotThere:
            told = None
        except AnswerInvalid as problem:
            raise WrongService(f"What answers at {self._site.api} is not ConnectWise: {problem}") from None
        self._was_looked_up = True
        if told is None:
            raise OrganizationUnknown(f"{self._site.api} knows no company '{self.company_login}'")
        codebase = told.get("Codebase") if isinstance(told, dict) else None
        if not isinstance(codebase, str) or not _CODEBASE.fullmatch(codebase):
            raise WrongService(f"What answers at {where} is not ConnectWise: it names no codebase")
        with _lock:
            _places[self._key] = (self._trusted(told.get("SiteUrl")), codebase.rstrip("/") + "/")
        self._opened.clear()
        return told

    def system_info(self) -> Record:
        """Version and region of the server.

        :raises LoginRejected: for a wrong company or key, which the cloud may answer with 404.
        """
        try:
            told = self._get("/system/info")
        except NotThere as problem:
            raise LoginRejected(f"{problem}. In the cloud that also means a wrong company or key") from None
        if not isinstance(told, dict):
            raise WrongService("What answers is not ConnectWise: it does not tell its version")
        return told

    # -- companies and configurations -------------------------------------------------------------------------------------------

    def count_companies(self) -> int:
        """How many companies are customers by the settings."""
        return self._count(COMPANIES, *company_conditions(self._settings))

    def companies(self) -> Iterator[list[Record]]:
        """The companies that are customers by the settings, page by page, as many as ConnectWise says there are.

        :raises PullIncomplete: when fewer came.
        """
        conditions, child_conditions = company_conditions(self._settings)
        return self._whole(COMPANIES, COMPANY_FIELDS, conditions, child_conditions)

    def covers(self, key: int) -> bool:
        """Whether this company is a customer by the settings."""
        conditions, child_conditions = company_conditions(self._settings)
        return self._count(COMPANIES, f"id={key} AND {conditions}", child_conditions) > 0

    def company(self, key: int) -> Record:
        """:raises NotThere: when there is no such company."""
        return self._one(COMPANIES, key, COMPANY_FIELDS)

    def companies_by_id(self, keys: Sequence[int]) -> Iterator[Record]:
        """Those of these companies that are still there, deleted or not, whatever the settings say."""
        for start in range(0, len(keys), _IDS_AT_ONCE):
            listed = ",".join(map(str, keys[start:start + _IDS_AT_ONCE]))
            query = {"pageSize": _IDS_AT_ONCE, "fields": ",".join(COMPANY_FIELDS)}
            yield from _rows(self._search(COMPANIES, f"id in ({listed})", query), COMPANIES)

    def count_configurations(self) -> int:
        """How many configurations the settings cover."""
        return self._count(CONFIGURATIONS, configuration_conditions(self._settings))

    def configurations(self) -> Iterator[list[Record]]:
        """All configurations that the settings cover, of all companies, page by page; as ``companies``."""
        return self._whole(CONFIGURATIONS, CONFIGURATION_FIELDS, configuration_conditions(self._settings))

    def configurations_of(self, company: int) -> Iterator[list[Record]]:
        """Those of one company; as ``companies``."""
        conditions = " AND ".join(filter(None, (f"company/id={company}", configuration_conditions(self._settings))))
        return self._whole(CONFIGURATIONS, CONFIGURATION_FIELDS, conditions)

    def configuration(self, key: int) -> Record:
        """:raises NotThere: when there is no such configuration."""
        return self._one(CONFIGURATIONS, key, CONFIGURATION_FIELDS)

    # -- callbacks ----------------------------------------------------------------------------------------------------------------

    def callbacks(self) -> Iterator[Record]:
        """Every callback that is registered, by whomever."""
        for page in self._pages(CALLBACKS, {}):
            yield from page

    def add_callback(self, url: str, kind: str, description: str) -> None:
        """Be told of every change of companies (``company``) or configurations (``configuration``)."""
        body = {"url": url, "type": kind, "level": "owner", "objectId": 1, "description": description, "inactiveFlag": False,
                "isSelfSuppressedFlag": True}
        self._calling(lambda api: api.post_json(CALLBACKS, body))

    def signing_key(self, key_url: str) -> str:
        """The key that a callback was signed with.

        :raises LoginRejected: when the address is none of this ConnectWise's; nothing is sent there.
        """
        path = self._key_path(key_url)
        told = self._get(path)
        key = told.get("signing_key") if isinstance(told, dict) else None
        if not isinstance(key, str) or not key:
            raise AnswerInvalid(f"GET {path} gives no signing key")
        return key

    def _key_path(self, key_url: str) -> str:
        try:
            parts = urlsplit(key_url)
        except ValueError:
            parts = urlsplit("")
        path = _KEY_PATH.search(parts.path)
        if path is None or not parts.path.endswith(path[0]) or parts.hostname != urlsplit(self._place()[0]).hostname:
            raise LoginRejected("A callback names a key that is not this ConnectWise's")
        return path[0]

    # -- calls ----------------------------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> tuple[str, str]:
        return self._site.api, self.company_login.lower()

    def _place(self) -> tuple[str, str]:
        with _lock:
            return _places.get(self._key, (self._site.api, _ROUTER))

    def _api(self, paging: str = "") -> Any:
        """The client of this way of paging, which is told in a header."""
        if paging not in self._opened:
            address, codebase = self._place()
            version = self._settings.get("version")
            accept = f"application/vnd.connectwise.com+json; version={version}" if version else "application/json"
            headers = {"clientId": self._settings["client_id"], "Accept": accept, **({"pagination-type": paging} if paging else {})}
            private = self._settings["private_key"]
            self._opened[paging] = self._maker(
                f"{address}/{codebase}apis/3.0", auth=(f"{self.company_login}+{self._settings['public_key']}", private),
                headers=headers, secrets=[private], ca_pem=self._ca_pem)
        return self._opened[paging]

    def _calling(self, ask: Callable[[Any], T], paging: str = "") -> T:
        """Ask; when that is 404, look once where ConnectWise answers now, since the codebase changes with upgrades."""
        with _precise():
            try:
                return ask(self._api(paging))
            except NotThere:
                if self._was_looked_up:
                    raise
                before = self._place()
                self.company_info()
                if self._place() == before:
                    raise
                return ask(self._api(paging))

    def _get(self, path: str, query: Mapping[str, Any] | None = None) -> Any:
        return self._calling(lambda api: api.get(path, query))

    def _search(self, path: str, conditions: str, query: Mapping[str, Any]) -> Any:
        return self._calling(lambda api: api.post_json(f"{path}/search", {"conditions": conditions}, query, repeatable=True))

    def _one(self, path: str, key: int, fields: Sequence[str]) -> Record:
        record = self._get(f"{path}/{key}", {"fields": ",".join(fields)})
        if not isinstance(record, dict) or record.get("id") != key:
            raise AnswerInvalid(f"GET {path}/{key} does not tell of that record")
        return record

    def _count(self, path: str, conditions: str, child_conditions: str = "") -> int:
        told = self._get(f"{path}/count", _given({"conditions": conditions, "childConditions": child_conditions}))
        count = told.get("count") if isinstance(told, dict) else None
        if not isinstance(count, int):
            raise AnswerInvalid(f"GET {path}/count tells no number")
        return count

    def _whole(self, path: str, fields: Sequence[str], conditions: str, child_conditions: str = "") -> Iterator[list[Record]]:
        counted, came = self._count(path, conditions, child_conditions), 0
        query = _given({"conditions": conditions, "childConditions": child_conditions, "fields": ",".join(fields)})
        for page in self._pages(path, query):
            came += len(page)
            yield page
        if came < counted and came < self._count(path, conditions, child_conditions):  # some may have gone meanwhile
            raise PullIncomplete(f"{path}: {came} records came of {counted} that there are")

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[list[Record]]:
        if self._settings.get("paging") == PAGES:
            return self._numbered(path, query)
        return self._forward(path, query)

    def _forward(self, path: str, query: Mapping[str, Any]) -> Iterator[list[Record]]:
        """Forward only: each page begins behind the id that the one before ended with, so that rows which change meanwhile move nothing."""
        last, given = 0, dict(query)
        while True:
            rows, following = self._page(path, given, "forward-only")
            keys = [_id_of(row, path) for row in rows]
            if following is not None and "page" in following and "pageId" not in following:
                yield from self._numbered(path, query)  # an older server, which takes no notice of the header
                return
            if keys != sorted(keys) or (keys and keys[0] <= last):
                raise AnswerInvalid(f"GET {path} gives a page that does not follow the one before")
            if rows:
                yield rows
                last = keys[-1]
            if not rows or following == {} or (following is None and len(rows) < self._page_size):
                return
            given = {**query, "pageId": last}

    def _numbered(self, path: str, query: Mapping[str, Any]) -> Iterator[list[Record]]:
        """By page number, in the order of ids, so that what is added meanwhile comes last. Where a proxy drops the Link header, pages end
        with the first that is not full."""
        page = 1
        while True:
            rows, following = self._page(path, {"orderBy": "id asc", **query, "page": page}, "")
            if rows:
                yield rows
            if not rows or following == {} or (following is None and len(rows) < self._page_size):
                return
            follows = page + 1 if following is None else _number(following.get("page", ""))
            if follows <= page:
                raise AnswerInvalid(f"GET {path}: page {page} leads back to page {follows}")
            page = follows

    def _page(self, path: str, query: Mapping[str, Any], paging: str) -> tuple[list[Record], dict[str, str] | None]:
        """The rows, and the query of the next page: nothing in it after the last one, None when there is no Link header. Only its query
        is used: behind a proxy its host may be one that we must not call."""
        def ask(api: Any) -> tuple[Any, Mapping[str, str]]:
            return api.get(path, {**query, "pageSize": self._page_size}), api.last_headers

        answer, headers = self._calling(ask, paging)
        link = headers.get("Link")
        if not link:
            return _rows(answer, path), None
        following = next((entry.get("url", "") for entry in parse_header_links(link) if entry.get("rel") == "next"), "")
        return _rows(answer, path), {name: values[0] for name, values in parse_qs(urlsplit(following).query).items()}

    def _trusted(self, told: Any) -> str:
        """The address that calls go to: the one that the site tells of when both are ConnectWise's own, else the one given. Our keys are
        not sent to a host that an answer without credentials may name."""
        host = str(told or "").lower().removeprefix("https://").split("/")[0]
        if is_cloud(host) and is_cloud(urlsplit(self._site.api).hostname or ""):
            return site_of(host).api
        return self._site.api


@contextmanager
def _precise() -> Iterator[None]:
    """Tells what ConnectWise's refusals mean."""
    try:
        yield
    except PermissionMissing as problem:
        if "SSL is required" in str(problem):
            raise WrongService(f"This is not the host of the API, or not by https: {problem}") from None
        raise PermissionMissing(f"{problem}. Look at the security role of the API member, and at the client ID") from None
    except UpstreamRefused as problem:
        if "answered 400" in str(problem):
            raise SettingsInvalid(f"ConnectWise does not understand what it is asked; look at the conditions: {problem}") from None
        raise


def _given(query: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in query.items() if value}


def _rows(answer: Any, path: str) -> list[Record]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise AnswerInvalid(f"{path} answered something that is no list of records")
    return answer


def _id_of(row: Record, path: str) -> int:
    key = row.get("id")
    if isinstance(key, bool) or not isinstance(key, int):
        raise AnswerInvalid(f"GET {path} gives a record without an id")
    return key


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
