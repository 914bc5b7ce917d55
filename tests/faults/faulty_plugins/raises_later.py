"""A plugin that registers well, and raises in all that it is asked to do afterwards."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flask_smorest import Blueprint
from marshmallow import fields

from core.hooks import impl
from core.hooks.contracts import AssetDraft, AssetKind, CheckResult, FindingDraft, RuleDraft, SettingsSchema, Severity, WebhookEvent
from core.http.access import CustomerFrom, requires

blp = Blueprint("faulty", __name__, url_prefix="/api/faulty", description="Raises")


@blp.get("/page")
@requires("finding.list", customer=CustomerFrom.SESSION)
def page() -> None:
    """Raises."""
    raise RuntimeError("boom in a view")


class Settings(SettingsSchema):
    spoilt = fields.Str(required=True, metadata={"label": "The part that raises"})


class Connector:
    """Works, but for the part that its settings name."""

    source, title, description, aliases = "faulty", "Faulty", "Raises", ()
    settings_schema = Settings

    def open(self, settings: Mapping[str, Any], upstream: Any) -> "Pull":
        if settings["spoilt"] == "open":
            raise RuntimeError("boom in open")
        return Pull(settings["spoilt"])

    def read_webhook(self, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        raise RuntimeError("boom in read_webhook")


class Pull:
    def __init__(self, spoilt: str) -> None:
        self._spoilt = spoilt

    def check(self) -> CheckResult:
        self._reach("check")
        return CheckResult("Fine")

    def catalog(self) -> Iterator[AssetDraft]:
        yield self.asset("one")
        self._reach("catalog")

    def asset(self, key: str) -> AssetDraft:
        self._reach("asset")
        return AssetDraft(key, key, "faulty_thing")

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft]:
        yield FindingDraft("f", "A finding", Severity.HIGH, rule=f"rule-{self._spoilt}")
        self._reach("findings")

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        self._reach("rules")
        return iter(())

    def _reach(self, part: str) -> None:
        if part == self._spoilt:
            raise RuntimeError(f"boom in {part}")


class Live:
    source = "faulty"

    def totals(self, *given: Any) -> Any:
        raise RuntimeError("boom in live totals")


@impl
def register_asset_kinds() -> Sequence[AssetKind]:
    return [AssetKind("faulty_thing", "Thing")]


@impl
def register_connectors() -> Sequence[Connector]:
    return [Connector()]


@impl
def register_blueprints() -> Sequence[Blueprint]:
    return [blp]


@impl
def live_totals() -> Sequence[Live]:
    return [Live()]
