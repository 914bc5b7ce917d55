"""The objects that plugins give to core and get from it: drafts, settings forms, connectors, pages.

Hooks (``core.hooks.specs``) return these at start-up; from then on core calls the objects.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, BinaryIO, Protocol, runtime_checkable

from marshmallow import Schema


class Severity(IntEnum):
    """How bad a finding is, on the one scale that all sources are mapped to. Ordered; stored as the number."""

    INFO = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def label(self) -> str:
        """``Critical``, as the surfaces write it."""
        return self.name.capitalize()


class SourceState(StrEnum):
    """What the source says of a finding. A person's verdict is kept apart from it."""

    OPEN = "open"
    FIXED = "fixed"
    GONE = "gone"  # set by core alone: a complete pull no longer mentioned it
    ACCEPTED = "accepted"  # dismissed upstream as an accepted risk
    FALSE_POSITIVE = "false_positive"  # dismissed upstream as wrong


class Discipline(StrEnum):
    """Which of the two blocks of the portal an asset counts in."""

    APPSEC = "appsec"
    OFFSEC = "offsec"


@dataclass(frozen=True, slots=True)
class AssetKind:
    """A kind of asset that a plugin pulls, such as ``sonar_project``; the name is also the group-member type on the wire."""

    name: str
    title: str
    discipline: Discipline = Discipline.APPSEC


#: kinds of asset that belong to no plugin
CORE_KINDS = (AssetKind("report", "Imported report"),)
#: sources of the report formats that core reads itself; no plugin may take them
CORE_SOURCES = frozenset({"sarif", "cyclonedx", "csv"})


@dataclass(frozen=True, slots=True)
class AssetDraft:
    """One entry of a source's catalog.

    :ivar key: the source's own stable key; unique within the connection.
    :ivar kind: name of a registered ``AssetKind``.
    :ivar attributes: small JSON-able facts worth showing (branches, visibility, last analysis).
    :ivar lineage: what stays the same over branches, image tags and the like (the project's own key); verdicts pass from one
        asset of a lineage to the others. Empty: the asset is a lineage of its own.
    """

    key: str
    name: str
    kind: str
    url: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    lineage: str = ""


@dataclass(frozen=True, slots=True)
class FindingDraft:
    """One finding as a source reports it, mapped to our words. Unique by ``source_key`` within its asset.

    :ivar category: the source's family of finding (``vulnerability``, ``hotspot``, ``bug``, ``code_smell``, ...).
    :ivar rule: key of the rule that found it; its text comes from ``Pull.rules``.
    :ivar source_status: the source's own word for the state, shown as it is (``CONFIRMED``, ``TO_REVIEW``).
    :ivar path: the place: a file path, a URL, a package; ``line`` counts from 1.
    :ivar fingerprint: an identity that survives when the source changes its key; empty when there is none.
    :ivar created_at, updated_at: the source's own dates, milliseconds.
    :ivar details: further JSON-able facts.
    """

    source_key: str
    title: str
    severity: Severity
    state: SourceState = SourceState.OPEN
    source_status: str = ""
    category: str = ""
    rule: str = ""
    description: str = ""
    cwe: tuple[int, ...] = ()
    cve: tuple[str, ...] = ()
    path: str = ""
    line: int | None = None
    url: str = ""
    fingerprint: str = ""
    created_at: int | None = None
    updated_at: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """The text of a rule, stored once per customer and source. ``description`` is HTML; core cleans it before it is shown."""

    key: str
    name: str
    description: str = ""
    cwe: tuple[int, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A record that the mapper could not read. Core counts it, and closes nothing of an asset that has one
    unless ``source_key`` says which finding it is."""

    reason: str
    source_key: str | None = None


def mapped(records: Iterable[Any], to_draft: Callable[[Any], FindingDraft], key: str = "key") -> Iterator[FindingDraft | Unmapped]:
    """Map each record, giving ``Unmapped`` for one that lacks a required field or holds an impossible value.

    :param key: name of the field with the record's own key, read when the mapping fails.
    """
    for record in records:
        try:
            yield to_draft(record)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as problem:
            source_key = record.get(key) if isinstance(record, Mapping) else None
            yield Unmapped(f"{type(problem).__name__}: {problem}", source_key if isinstance(source_key, str) else None)


class SettingsSchema(Schema):
    """The form an administrator fills in for a connection; fields in the order they are declared.

    Each field's ``metadata``: ``label``, ``help``, ``placeholder``, and ``secret=True`` for what must be sealed. A secret
    field is a string. ``validate.OneOf`` makes a choice, a Boolean a check box, ``multiline=True`` a text area.
    """


@dataclass(frozen=True, slots=True)
class CheckResult:
    """A connection that works. ``facts`` are shown beside the good news (version, organization, token expiry)."""

    message: str
    facts: Mapping[str, str] = field(default_factory=dict)


class Pull(Protocol):
    """One opened connection to a source. Iterators are lazy, so that memory stays flat; whatever ends early raises a
    ``core.hooks.failures.ConnectorError``, since core closes what a finished enumeration did not mention."""

    def check(self) -> CheckResult:
        """Prove that the settings work end to end, or raise the ``ConnectorError`` that names the precise reason."""

    def catalog(self) -> Iterator[AssetDraft]:
        """Every asset of the source that this connection covers."""

    def asset(self, key: str) -> AssetDraft:
        """The one asset with this key, asked for when a webhook names it. Raises ``NotThere`` when it is gone."""

    def findings(self, asset: AssetDraft) -> Iterator[FindingDraft | Unmapped]:
        """All findings of one asset, completely. A key may be repeated; the last one counts."""

    def rules(self, keys: Sequence[str]) -> Iterator[RuleDraft]:
        """Texts of the rules named; unknown ones are left out. Called only for rules that core does not have yet."""


@dataclass(frozen=True, slots=True)
class Removals:
    """What a run found gone of one kind of thing. Whether that is too much to be believed, core decides.

    :ivar what: the things, in the plural, such as ``companies``.
    :ivar there: how many there were before.
    :ivar names: some of those that are due, for the person who decides.
    :ivar found_none: whether the source listed none at all.
    """

    what: str
    due: int
    there: int
    names: tuple[str, ...] = ()
    found_none: bool = False


class HouseRun(Protocol):
    """A run in the hands of one worker, for a plugin that stores by itself what it pulls.

    :ivar keys: what a webhook asks for; None for everything.
    :ivar actor: how history and audit log name the run.
    :ivar counts: what was done so far, shown as progress.
    :ivar webhook_url: where the source may send its webhooks; empty when the deployment's address is not known.
    """

    counts: dict[str, int]

    @property
    def id(self) -> str: ...

    @property
    def keys(self) -> Sequence[str] | None: ...

    @property
    def actor(self) -> str: ...

    @property
    def webhook_url(self) -> str: ...

    def claim(self, *, phase: str = ..., done: int = ..., of_how_many: int | None = ...) -> None:
        """Write progress, and make sure that the run is still this worker's. To be called inside each transaction that writes: what
        it raises must undo that transaction."""

    def note_problem(self, asset: str, problem: Any) -> None:
        """Note a ``ConnectorError`` that concerns one thing alone; the run goes on and ends as ``partial``."""


@runtime_checkable
class HousePull(Protocol):
    """An opened connection of the MSP's own. What it pulls is no asset of one customer, so its plugin keeps it in tables of its own."""

    def check(self) -> CheckResult:
        """As ``Pull.check``."""

    def store(self, run: HouseRun) -> Sequence[Removals]:
        """Pull and store; note what is gone, but do not take it away yet.

        :raises core.hooks.failures.ConnectorError: whenever the pull ends early; nothing is taken away then.
        """

    def remove(self, run: HouseRun) -> None:
        """Take away what ``store`` noted in this run. Called by another worker and much later when a person had to agree."""


@dataclass(frozen=True, slots=True)
class LiveCounts:
    """Open findings of one asset as the source counts them now."""

    critical: int = 0
    high: int = 0
    medium: int = 0
    low: int = 0
    info: int = 0


class UpstreamMaker(Protocol):
    """Makes the shared HTTP client for one host, with the deployment's guard and the connection's budget applied."""

    def __call__(self, base_url: str, *, headers: Mapping[str, str] | None = None, auth: tuple[str, str] | None = None,
                 secrets: Sequence[str] = (), ca_pem: str = "", verify: bool = True) -> Any: ...


@runtime_checkable
class Connector(Protocol):
    """The code that pulls one source. One object per process; it keeps no state of a connection.

    :ivar source: the name in routes and tables, such as ``sonarqube``; lower case.
    :ivar title: the name that people read.
    :ivar aliases: further names that the routes answer to (the documents abbreviate Sonar as ``son``).
    """

    source: str
    title: str
    description: str
    aliases: Sequence[str]
    settings_schema: type[SettingsSchema]

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> Pull:
        """A pull with these settings, secrets included. Makes no request yet."""


@runtime_checkable
class HouseConnector(Protocol):
    """As a ``Connector``, for a source that the MSP itself is connected to: one connection for the whole deployment, which those
    configure, sync and see who hold the nodes everywhere.

    :ivar belongs_to_house: true.
    """

    source: str
    title: str
    description: str
    aliases: Sequence[str]
    settings_schema: type[SettingsSchema]
    belongs_to_house: bool

    def open(self, settings: Mapping[str, Any], upstream: UpstreamMaker) -> HousePull:
        """A pull with these settings, secrets included. Makes no request yet."""


@runtime_checkable
class LiveTotals(Protocol):
    """Fresher counts than the stored ones, for a source that can give them cheaply.

    :ivar source: the source whose application assets it counts.
    """

    source: str

    def totals(self, settings: Mapping[str, Any], upstream: UpstreamMaker, asset_keys: Sequence[str],
               seconds: float) -> Mapping[str, LiveCounts]:
        """Open counts by asset key, under the same rules as what a sync stores. Keys may be missing: their stored counts stay.

        Called while a dashboard waits, in a thread of its own; give up with a ``ConnectorError`` after ``seconds``.
        """


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """What a verified webhook asks for: a sync of these assets alone (all of them when empty)."""

    asset_keys: tuple[str, ...] = ()
    reason: str = ""


@runtime_checkable
class ReceivesWebhooks(Protocol):
    """A connector that understands its source's webhooks."""

    webhook_secret_setting: str

    def read_webhook(self, secret: str, headers: Mapping[str, str], body: bytes) -> WebhookEvent | None:
        """Verify the signature over the raw body and say what to sync; None for an event that needs nothing.

        :raises core.errors.Unauthorized: when the signature is missing or wrong.
        :raises core.errors.BadRequest: when the body is not what the source sends.
        """


@runtime_checkable
class AsksAboutWebhooks(Protocol):
    """A connector whose source gives out itself the keys that its webhooks are signed with, so that it has to be asked for them."""

    def verify_webhook(self, settings: Mapping[str, Any], upstream: UpstreamMaker, headers: Mapping[str, str],
                       body: bytes) -> WebhookEvent | None:
        """Verify the signature over the raw body and say what to sync; None for an event that needs nothing. The sender waits.

        :param upstream: makes clients that give up after seconds.
        :raises core.errors.Unauthorized: when the signature is missing or wrong.
        :raises core.errors.BadRequest: when the body is not what the source sends.
        :raises core.errors.TooManyRequests: when the source does not give the key now; it may send the webhook again.
        """


class ReportFile(Protocol):
    """An uploaded report. It may be opened as often as is needed, each time at its beginning.

    :ivar name: the file's name as it was sent, without folders; empty when none was.
    :ivar size: in bytes.
    """

    name: str
    size: int

    def open(self) -> BinaryIO: ...


@runtime_checkable
class ReportParser(Protocol):
    """Reads the reports of one format. One object per process; it keeps no state of a report.

    :ivar format: the name by which a caller may ask for it, such as ``snyk-cli``; lower case.
    :ivar title: the name that people read.
    :ivar source: the source that its findings count under: one that the plugin pulls, or one of its own.
    """

    format: str
    title: str
    source: str

    def recognises(self, head: bytes) -> bool:
        """Whether this is such a report, told from its first 64 KiB (as UTF-8 where it is text) and never from a file name."""

    def read(self, report: ReportFile) -> "Iterator[AssetDraft | RuleDraft | FindingDraft | Unmapped]":
        """All that the report holds, lazily, in the order of the file.

        A finding belongs to the asset that was yielded last, and to the one that the caller named when he named one or none was
        yielded. So source keys are unique in the whole report, not only in an asset. A key may be repeated, the last one
        counts; an asset may be yielded again. An ``Unmapped`` says that the report does not tell everything about the asset, for
        instance since the tool did not run: nothing of it is closed then.

        :raises core.hooks.failures.ReportInvalid: when the file is not what its format says; nothing of it is kept then.
        """


@dataclass(frozen=True, slots=True)
class PluginManifest:
    """How a plugin introduces itself in ``stockade plugins list``, ``GET /api/plugins`` and the admin page."""

    title: str
    description: str
    version: str


@dataclass(frozen=True, slots=True)
class PermissionNode:
    """One dotted permission, such as ``finding.list``, with the sentence that the catalogue shows.

    :ivar category: key of the category that the catalogue lists it in, such as ``credentialType``; when empty, the node's first
        word in camelCase. One that core does not know is named after the plugin.
    :ivar dependencies: nodes without which this one opens nothing, such as ``company.fetch`` for ``company.fetch.address``.
    """

    node: str
    description: str
    category: str = ""
    dependencies: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """An entry of the pages' navigation: ``endpoint`` is a Flask endpoint, ``node`` what one must hold to see it.

    :ivar for_administrators: whether the catalogue of permissions lists it among the administrators' pages.
    :ivar source: the integration on whose page it is found, in place of the navigation.
    """

    title: str
    endpoint: str
    node: str
    icon: str = ""
    order: int = 100
    for_administrators: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A small imitation of a plugin's source, which ``stockade up --demo`` starts and connects the demo's customers to.

    :ivar source: the connector that is connected to it.
    :ivar module: run with ``python -m``, given ``arguments`` and ``--port N``; it listens on 127.0.0.1 and first prints its
        address as one line.
    :ivar settings: the settings of a demo customer's connection, secrets included, by the stand-in's address, the customer's
        token and the customer's number, counted from 0.
    :ivar environ: what to add to its environment so that it accepts these tokens, one for each customer in turn.
    :ivar token_prefix: what this source's tokens begin with; 40 hexadecimal digits follow.
    """

    source: str
    module: str
    settings: Callable[[str, str, int], Mapping[str, Any]]
    environ: Callable[[Sequence[str]], Mapping[str, str]]
    arguments: Sequence[str] = ()
    token_prefix: str = ""
