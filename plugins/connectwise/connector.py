"""The ConnectWise connector: joins client, mapper and store into the pull that core asks for."""

import base64
import binascii
import hashlib
import hmac
import json
import logging
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from core import clock
from core.db import atomic
from core.errors import BadRequest, TooManyRequests, Unauthorized
from core.hooks.contracts import CheckResult, HousePull, HouseRun, Removals, SettingsSchema, UpstreamMaker, WebhookEvent
from core.hooks.failures import AnswerInvalid, ConnectorError, LoginRejected, NotThere
from plugins.connectwise import signing
from plugins.connectwise.client import ConnectWiseClient
from plugins.connectwise.mapper import Company, Record, to_company, to_configuration
from plugins.connectwise.settings import ConnectWiseSettings
from plugins.connectwise.storing import DELETED, GONE, LEFT_OUT, Store, in_order, named

log = logging.getLogger(__name__)
T = TypeVar("T")
#: what the keys of a run name: a company, a configuration, a company with all of its configurations
COMPANY, CONFIGURATION, WHOLE = "company", "configuration", "whole"
_SIGNATURE = "x-content-signature"
_DESCRIPTION = "Stockade"
_RETRY_SECONDS = "30"


class ConnectWiseConnector:
    """ConnectWise PSA (Manage), the MSP's own: its companies are the customers."""

    source = "connectwise"
    title = "ConnectWise"
    description = "Companies and their configurations from ConnectWise PSA; companies are customers."
    aliases: Sequence[str] = ("cw",)
    settings_schema: type[SettingsSchema] = ConnectWiseSettings
    belongs_to_house = True

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> HousePull:
        return ConnectWisePull(settings, upstream)

    def verify_webhook(self, settings: Mapping[str, Any], upstream: UpstreamMaker, headers: Mapping[str, str],
                       body: bytes) -> WebhookEvent | None:
        """A change of a company or a configuration asks for that record alone; what else is told needs nothing."""
        told = _callback(settings, body)
        given = _decoded(next((value for name, value in headers.items() if name.lower() == _SIGNATURE), ""))
        try:
            key = signing.key_at(ConnectWiseClient(settings, upstream), told["key_url"])
        except (LoginRejected, NotThere):  # a key that is not this ConnectWise's, or that it does not have
            raise Unauthorized from None
        except ConnectorError:  # it sends the callback again after 429
            raise TooManyRequests("ConnectWise does not give the key of this callback now",
                                  headers={"Retry-After": _RETRY_SECONDS}) from None
        if not hmac.compare_digest(given, _signed(key, body)):
            raise Unauthorized
        if told["type"] not in (COMPANY, CONFIGURATION):
            return None
        return WebhookEvent((f"{told['type']}:{told['id']}",), f"ConnectWise: {told['type']} {told['id']}")


def _callback(settings: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body)
        told = {"type": str(payload["Type"]).lower(), "id": payload["ID"], "key_url": payload["Metadata"]["key_url"]}
        login = str(payload["CompanyId"]).lower()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadRequest("This is not a callback of ConnectWise") from None
    if not isinstance(told["key_url"], str) or isinstance(told["id"], bool) or not isinstance(told["id"], int) or told["id"] <= 0:
        raise BadRequest("This is not a callback of ConnectWise")
    if login != settings["company"].lower():
        raise Unauthorized
    return told


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Unauthorized from None


def _signed(key: str, body: bytes) -> bytes:
    return hmac.new(hashlib.sha256(key.encode()).digest(), body, hashlib.sha256).digest()


class ConnectWisePull:
    """One opened connection; see ``core.hooks.contracts.HousePull``."""

    def __init__(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> None:
        self._client = ConnectWiseClient(settings, upstream)
        self._settings = settings

    def check(self) -> CheckResult:
        info = self._client.company_info()
        system = self._client.system_info()
        facts = {"Version": str(system.get("version") or info.get("VersionCode") or "unknown"),
                 "Companies": str(self._client.count_companies())}
        if self._settings.get("configurations"):
            facts["Configurations"] = str(self._client.count_configurations())
        return CheckResult(f"Connected to {info.get('CompanyName') or self._client.company_login}", facts)

    def store(self, run: HouseRun) -> Sequence[Removals]:
        store = store_of(self._settings, run.actor, run.counts)
        if run.keys is not None:
            self._store_named(store, run, run.keys)
            return []
        removals = [self._store_companies(store, run)]
        store.match(bool(self._settings.get("create_customers", True)), run)
        if self._settings.get("configurations"):
            removals.append(self._store_configurations(store, run))
        if self._settings.get("callbacks") and run.webhook_url:
            self._register_callbacks(run)
        return removals

    def remove(self, run: HouseRun) -> None:
        store_of(self._settings, run.actor, run.counts).remove_due(run)

    # -- everything -----------------------------------------------------------------------------------------------------------------

    def _store_companies(self, store: Store, run: HouseRun) -> Removals:
        started, there, seen = clock.now(), store.living(), set[int]()
        _progress(run, "companies", 0, self._client.count_companies())
        for page in self._client.companies():
            with atomic():
                store.write_companies(_readable(page, to_company, run))
                seen.update(record["id"] for record in page)
                run.claim(done=len(seen))
        reasons = self._reasons(sorted(there.keys() - seen), run)
        with atomic():
            store.note_gone(run.id, reasons)
            store.confirm(started)
            run.claim()
        return Removals("companies", len(reasons), len(there), named(there, reasons), not seen)

    def _reasons(self, unseen: Sequence[int], run: HouseRun) -> dict[int, str]:
        """Why companies are no longer among those that are synced."""
        there = {company.cw_id: company for company in _readable(list(self._client.companies_by_id(unseen)), to_company, run)}
        return {key: GONE if key not in there else DELETED if there[key].is_deleted else LEFT_OUT for key in unseen}

    def _store_configurations(self, store: Store, run: HouseRun) -> Removals:
        started, seen = clock.now(), array("q")
        _progress(run, "configurations", 0, self._client.count_configurations())
        for page in self._client.configurations():
            with atomic():
                store.write_configurations(_readable(page, to_configuration, run))
                seen.extend(record["id"] for record in page)
                run.claim(done=len(seen))
        removals = store.note_gone_configurations(run, in_order(seen))
        with atomic():
            store.configurations_confirmed(started)
            run.claim()
        return removals

    def _register_callbacks(self, run: HouseRun) -> None:
        """Have ConnectWise tell of changes. That it does not let us is told with the run, whose data is whole all the same."""
        url = f"{run.webhook_url}?recordId="
        try:
            known = {str(hook.get("type")).lower() for hook in self._client.callbacks() if hook.get("url") == url}
            for kind in (COMPANY, CONFIGURATION):
                if kind not in known and (kind == COMPANY or self._settings.get("configurations")):
                    self._client.add_callback(url, kind, f"{_DESCRIPTION} {kind}")
        except ConnectorError as problem:
            run.note_problem("callbacks", problem)

    # -- what a callback names ----------------------------------------------------------------------------------------------------------

    def _store_named(self, store: Store, run: HouseRun, keys: Sequence[str]) -> None:
        _progress(run, "companies", 0, len(keys))
        for done, key in enumerate(keys, 1):
            kind, _, number = key.partition(":")
            try:
                if kind in (COMPANY, WHOLE):
                    self._store_company(store, run, int(number), is_whole=kind == WHOLE)
                elif kind == CONFIGURATION:
                    self._store_configuration(store, int(number))
            except ConnectorError as problem:
                if not problem.asset_only:
                    raise
                run.note_problem(key, problem)
            _progress(run, "companies", done, len(keys))

    def _store_company(self, store: Store, run: HouseRun, key: int, *, is_whole: bool) -> None:
        try:
            company = read_company(self._client, key)
        except NotThere:
            store.remove_now(key, GONE)
            return
        if company.is_deleted:
            store.remove_now(key, DELETED)
            return
        if not self._client.covers(key):
            store.remove_now(key, LEFT_OUT)
            return
        with atomic():
            store.write_companies([company])
            run.claim()
        is_new = bool(store.match(bool(self._settings.get("create_customers", True)), run, [key]))
        if (is_new or is_whole) and self._settings.get("configurations"):
            refresh_configurations(self._client, store, key)

    def _store_configuration(self, store: Store, key: int) -> None:
        if not self._settings.get("configurations"):
            return
        try:
            one = _one(self._client.configuration(key), to_configuration)
        except NotThere:
            store.remove_configuration_now(key)
            return
        is_active = one.data.get("activeFlag") is not False
        if not is_active and not self._settings.get("inactive_configurations"):
            store.remove_configuration_now(key)
            return
        with atomic():
            store.write_configurations([one])


def store_of(settings: Mapping[str, Any], actor: str, counts: dict[str, int]) -> Store:
    """What is kept of the ConnectWise that these settings mean."""
    return Store(tenant_of(settings), actor, bool(settings.get("follow_names", True)), counts)


def tenant_of(settings: Mapping[str, Any]) -> str:
    """The name that a ConnectWise goes by here."""
    return str(settings["company"]).lower()


def read_company(client: ConnectWiseClient, key: int) -> Company:
    """:raises NotThere: when ConnectWise has no such company."""
    return _one(client.company(key), to_company)


def refresh_configurations(client: ConnectWiseClient, store: Store, company: int) -> None:
    """Store one company's configurations; those that it no longer has are marked as removed."""
    started, seen = clock.now(), array("q")
    for page in client.configurations_of(company):
        configurations = [one for record in page if (one := _one(record, to_configuration)).company_id == company]
        with atomic():
            store.write_configurations(configurations)
        seen.extend(one.cw_id for one in configurations)
    with atomic():
        store.remove_configurations(company, in_order(seen))
        store.configurations_confirmed(started, company)


def _one(record: Record, to_draft: Callable[[Record], T]) -> T:
    try:
        return to_draft(record)
    except (KeyError, TypeError, ValueError, AttributeError) as problem:
        raise AnswerInvalid(f"A record of ConnectWise cannot be read: {type(problem).__name__}: {problem}") from None


def _readable(page: Sequence[Record], to_draft: Callable[[Record], T], run: HouseRun) -> list[T]:
    """Drafts of the records that can be read. The others are counted, and what is stored of them stays as it is.

    :raises AnswerInvalid: for a record without an id, since it may be any that is there.
    """
    drafts = []
    for record in page:
        if isinstance(record.get("id"), bool) or not isinstance(record.get("id"), int):
            raise AnswerInvalid("ConnectWise gives a record without an id")
        try:
            drafts.append(to_draft(record))
        except (KeyError, TypeError, ValueError, AttributeError) as problem:
            run.counts["unmapped"] = run.counts.get("unmapped", 0) + 1
            log.warning("record %s could not be read: %s: %s", record["id"], type(problem).__name__, problem)
    return drafts


def _progress(run: HouseRun, phase: str, done: int, of: int) -> None:
    with atomic():
        run.claim(phase=phase, done=done, of_how_many=of)


