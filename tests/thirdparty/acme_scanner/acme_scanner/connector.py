"""Joins client and mapper into the pull that core asks for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from acme_scanner.client import AcmeClient
from acme_scanner.mapper import to_asset, to_finding, to_rule
from acme_scanner.settings import AcmeSettings
from core.hooks.contracts import (
    AssetDraft,
    CheckResult,
    FindingDraft,
    Pull,
    RuleDraft,
    SettingsSchema,
    Unmapped,
    UpstreamMaker,
    mapped,
)
from core.hooks.failures import NotThere, WrongService


class AcmeConnector:
    source = "acme"
    title = "Acme scanner"
    description = "Findings of the Acme scanner."
    aliases: Sequence[str] = ()
    settings_schema: type[SettingsSchema] = AcmeSettings

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> Pull:
        return AcmePull(AcmeClient(upstream, settings["url"], settings["key"]))


class AcmePull:
    def __init__(self, client: AcmeClient) -> None:
        self._client = client

    def check(self) -> CheckResult:
        try:
            about = self._client.about()
        except NotThere as problem:
            raise WrongService("No Acme scanner answers at this address") from problem
        targets = sum(1 for _ in self._client.targets())
        return CheckResult(f"Connected to {about['product']} {about['version']}", {"Version": about["version"], "Targets": str(targets)})

    def catalog(self) -> Iterator[AssetDraft]:
        return map(to_asset, self._client.targets())

    def asset(self, key: str) -> AssetDraft:
        return to_asset(self._client.target(key))

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        return mapped(self._client.findings(asset.key), to_finding, key="id")

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        wanted = set(keys)
        return (to_rule(record) for record in self._client.checks() if record["check"] in wanted)
