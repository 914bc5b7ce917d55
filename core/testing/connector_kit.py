"""Checks that a connector keeps the contract, for the tests of plugin authors. Give it settings that point at a stand-in::

    def test_the_connector_keeps_the_contract():
        with StandIn(make_app()) as acme:
            report = check_connector(AcmeConnector(), {"url": acme.url, "key": KEY}, kinds=[AssetKind("acme_target", "Acme target")])
        assert len(report.assets) == 2

Each function raises ``ContractBroken`` with a sentence that says what is wrong.
"""

import ipaddress
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from core.errors import Unauthorized
from core.hooks import offers
from core.hooks.contracts import (
    AssetDraft,
    AssetKind,
    CheckResult,
    Connector,
    FindingDraft,
    Pull,
    ReceivesWebhooks,
    RuleDraft,
    Severity,
    SourceState,
    Unmapped,
    WebhookEvent,
)
from core.hooks.failures import ConnectorError, NotThere
from core.http.upstream import Upstream, UpstreamPolicy

T = TypeVar("T")
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_LONGEST_KEY = 500  # what core keeps of a key
_NO_SUCH_KEY = "no-such-asset-f3a9"


class ContractBroken(AssertionError):
    """The connector does something that core relies on it not to do."""


class LoopbackUpstream:
    """An ``UpstreamMaker`` for stand-ins: reaches the loopback alone and hardly waits between tries.

    :ivar made: the clients made so far, each with its count of ``calls``.
    """

    def __init__(self) -> None:
        self.made: list[Upstream] = []
        self._policy = UpstreamPolicy(allow=_LOOPBACK, retries=1, backoff=0.001, longest_wait=0.01, per_second=10_000)

    def __call__(self, base_url: str, **options: Any) -> Upstream:
        self.made.append(Upstream(base_url, self._policy, **options))
        return self.made[-1]

    @property
    def calls(self) -> int:
        """Requests sent so far."""
        return sum(upstream.calls for upstream in self.made)


@dataclass(frozen=True, slots=True)
class Pulled:
    """All that one complete pull gave, for further assertions. ``calls`` counts the requests it took."""

    check: CheckResult
    assets: tuple[AssetDraft, ...]
    findings: Mapping[str, tuple[FindingDraft, ...]]
    unmapped: tuple[Unmapped, ...] = ()
    rules: tuple[RuleDraft, ...] = ()
    calls: int = 0


@dataclass(slots=True)
class _Opened:
    pull: Pull
    upstream: LoopbackUpstream
    secrets: Sequence[str] = field(default_factory=tuple)


def check_connector(connector: Connector, settings: Mapping[str, Any], *, kinds: Iterable[AssetKind]) -> Pulled:
    """Pull everything once, and the keys a second time, holding the connector to the contract all the way.

    :param settings: as the form takes them, secrets included; they must work.
    :param kinds: what the plugin registers.
    """
    _expect_acceptable(connector)
    pulled = _pull_everything(_open(connector, settings), {kind.name for kind in kinds})
    again = _open(connector, settings)
    _expect([draft.key for draft in again.pull.catalog()] == [draft.key for draft in pulled.assets],
            "a second catalog gives other keys, or in another order, though the source is the same")
    for asset in pulled.assets:
        _expect(again.pull.asset(asset.key).key == asset.key, f"asset({asset.key!r}) gives another asset")
        _expect(_keys(again.pull.findings(asset)) == {draft.source_key for draft in pulled.findings[asset.key]},
                f"a second pull of {asset.key!r} gives other source keys: core would close findings and open them anew")
    _expect_not_there(again.pull)
    return pulled


def check_refusal(connector: Connector, settings: Mapping[str, Any], expected: type[ConnectorError]) -> ConnectorError:
    """Expect that ``check()`` refuses these settings with exactly this failure, in words that hold no secret."""
    opened = _open(connector, settings)
    try:
        opened.pull.check()
    except ConnectorError as problem:
        _expect(type(problem) is expected, f"check() raised {type(problem).__name__} ({problem}) in place of {expected.__name__}")
        _expect_no_secret(opened, str(problem), "the message of the failure")
        return problem
    raise ContractBroken(f"check() found nothing wrong; {expected.__name__} was expected")


def check_cut_short(connector: Connector, settings: Mapping[str, Any]) -> ConnectorError:
    """Expect that a pull from a stand-in which cuts something short raises, wherever it is: ending normally closes findings."""
    opened = _open(connector, settings)
    try:
        for asset in opened.pull.catalog():
            for _ in opened.pull.findings(asset):
                pass
    except ConnectorError as problem:
        _expect_no_secret(opened, str(problem), "the message of the failure")
        return problem
    raise ContractBroken("the pull ended normally though the source cut something short; core would close what was not mentioned")


def check_webhook(connector: ReceivesWebhooks, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
    """Expect that this webhook is understood, and refused with Unauthorized when its body or its signature is another.

    :param headers: with the signature of ``body`` under ``secret``.
    """
    event = connector.read_webhook(secret, headers, body)
    _expect(event is None or isinstance(event, WebhookEvent), f"read_webhook() returned {type(event).__name__}")
    forgeries = {"another body": (secret, headers, body + b" "), "another secret": (secret + "x", headers, body),
                 "no signature": (secret, {}, body), "no secret": ("", headers, body)}
    for what, (key, sent, content) in forgeries.items():
        try:
            connector.read_webhook(key, sent, content)
        except Unauthorized:
            continue
        raise ContractBroken(f"read_webhook() accepts a webhook with {what}")
    return event


def _open(connector: Connector, settings: Mapping[str, Any]) -> _Opened:
    form = connector.settings_schema()
    checked = form.load(dict(settings))
    secrets = [str(checked[name]) for name, entry in form.fields.items() if entry.metadata.get("secret") and checked.get(name)]
    upstream = LoopbackUpstream()
    opened = _Opened(connector.open(checked, upstream), upstream, secrets)
    _expect(upstream.calls == 0, "open() sends a request; it must wait for the first question")
    return opened


def _expect_acceptable(connector: Connector) -> None:
    try:
        offers.connectors([connector])
    except offers.NotAcceptable as problem:
        raise ContractBroken(str(problem)) from problem


def _pull_everything(opened: _Opened, kinds: set[str]) -> Pulled:
    check = _checked(opened)
    assets = tuple(_each(opened, opened.pull.catalog(), AssetDraft, "catalog()"))
    _expect_keys([draft.key for draft in assets], "the catalog")
    for asset in assets:
        _expect(asset.kind in kinds, f"the asset {asset.key!r} is of the kind {asset.kind!r}, which the plugin does not register")
    entries = {asset.key: tuple(_findings(opened, asset)) for asset in assets}
    findings = {key: tuple(entry for entry in found if isinstance(entry, FindingDraft)) for key, found in entries.items()}
    unmapped = tuple(entry for found in entries.values() for entry in found if isinstance(entry, Unmapped))
    rules = _rules(opened, {draft.rule for found in findings.values() for draft in found if draft.rule})
    return Pulled(check, assets, findings, unmapped, rules, opened.upstream.calls)


def _checked(opened: _Opened) -> CheckResult:
    result = opened.pull.check()
    _expect(isinstance(result, CheckResult), f"check() returned {type(result).__name__}, not a CheckResult")
    _expect(bool(result.message), "check() says nothing")
    _expect_no_secret(opened, f"{result.message} {dict(result.facts)}", "the result of check()")
    return result


def _findings(opened: _Opened, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
    where = f"findings() of {asset.key!r}"
    for entry in _each(opened, opened.pull.findings(asset), (FindingDraft, Unmapped), where):
        if isinstance(entry, FindingDraft):
            _expect_finding(entry, where)
        yield entry


def _expect_finding(draft: FindingDraft, where: str) -> None:
    what = f"the finding {draft.source_key!r} of {where}"
    _expect_keys([draft.source_key], where)
    _expect(bool(draft.title), f"{what} has no title")
    _expect(isinstance(draft.severity, Severity), f"{what} has the severity {draft.severity!r}, which is no Severity")
    _expect(isinstance(draft.state, SourceState), f"{what} has the state {draft.state!r}, which is no SourceState")
    _expect(draft.state is not SourceState.GONE, f"{what} is GONE; only core says that")
    _expect(draft.line is None or draft.line >= 1, f"{what} is on line {draft.line}; lines count from 1")
    for moment in (draft.created_at, draft.updated_at):
        _expect(moment is None or (isinstance(moment, int) and moment > 10**11), f"{what} has the date {moment!r}, not milliseconds")


def _rules(opened: _Opened, keys: set[str]) -> tuple[RuleDraft, ...]:
    asked = [*sorted(keys), _NO_SUCH_KEY]
    rules = tuple(_each(opened, opened.pull.rules(asked), RuleDraft, "rules()"))
    given = [rule.key for rule in rules]
    _expect(set(given) <= keys, f"rules() gives rules that nobody asked for: {sorted(set(given) - keys)}")
    _expect_keys(given, "rules()")
    return rules


def _each(opened: _Opened, entries: Iterator[T], wanted: type[T] | tuple[type, ...], where: str) -> Iterator[T]:
    _expect(isinstance(entries, Iterator), f"{where} returned {type(entries).__name__}; give an iterator, so that memory stays flat")
    for entry in entries:
        _expect(isinstance(entry, wanted), f"{where} gave {type(entry).__name__}")
        _expect_no_secret(opened, _as_json(entry, where), where)
        yield entry


def _as_json(entry: Any, where: str) -> str:
    try:
        return json.dumps(asdict(entry), ensure_ascii=False)
    except (TypeError, ValueError) as problem:
        raise ContractBroken(f"{where} gave something that cannot be kept as JSON: {problem}") from problem


def _keys(entries: Iterable[FindingDraft | Unmapped]) -> set[str]:
    return {entry.source_key for entry in entries if isinstance(entry, FindingDraft)}


def _expect_keys(keys: Sequence[str], where: str) -> None:
    for key in keys:
        _expect(isinstance(key, str) and 0 < len(key) <= _LONGEST_KEY,
                f"{where} has the key {key!r}; a key is a text of 1 to {_LONGEST_KEY} characters")
    twice = sorted(key for key, times in Counter(keys).items() if times > 1)
    _expect(not twice, f"{where} has these keys more than once: {twice}")


def _expect_not_there(pull: Pull) -> None:
    try:
        found = pull.asset(_NO_SUCH_KEY)
    except NotThere:
        return
    except ConnectorError as problem:
        raise ContractBroken(f"asset() of an unknown key raises {type(problem).__name__}, not NotThere") from problem
    raise ContractBroken(f"asset() of an unknown key gives {found!r}; it must raise NotThere")


def _expect_no_secret(opened: _Opened, text: str, where: str) -> None:
    _expect(not any(secret in text for secret in opened.secrets), f"{where} shows a secret")


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ContractBroken(otherwise)
