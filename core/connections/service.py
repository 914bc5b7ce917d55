"""Connections: configuring a source for a customer, proving that it works, opening it for a sync."""

import logging
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import peewee
from marshmallow import ValidationError, fields

from core import audit, clock
from core.assets import catalog
from core.assets.models import Asset, AssetGroup
from core.connections import health
from core.connections.models import UNFINISHED, Connection, Run
from core.credentials import service as credentials
from core.credentials.keyring import SecretsDestroyed
from core.db import atomic, is_unique_violation
from core.deployment import Deployment
from core.errors import BadRequest, Conflict, NotFound
from core.hooks.contracts import AsksAboutWebhooks, CheckResult, Connector, HousePull, Pull, UpstreamMaker, WebhookEvent
from core.hooks.failures import ConnectorError, PluginFailed, SettingsInvalid, WrongService
from core.http.upstream import Upstream, UpstreamPolicy
from core.ids import new_id
from core.scope import Scope

log = logging.getLogger(__name__)
_WEBHOOK_SECONDS = 2.0  # senders give up after five
SHORTEST_INTERVAL, LONGEST_INTERVAL = 5, 7 * 24 * 60  # minutes


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a check of a connection ended. ``code`` is empty when it works, else that of the ``ConnectorError``."""

    works: bool
    message: str
    code: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


def connector_of(deployment: Deployment, source: str) -> Connector:
    """The enabled connector of a source or one of its aliases.

    :raises NotFound: for a source that no enabled plugin offers.
    """
    return deployment.plugins.connector(source)


def find(scope: Scope, source: str) -> Connection | None:
    """The customer's connection of this source, or None."""
    return Connection.within(scope).where(Connection.source == source).get_or_none()


def must_find(scope: Scope, source: str) -> Connection:
    """:raises NotFound: when the customer has not configured this source."""
    connection = find(scope, source)
    if connection is None:
        raise NotFound(f"{source} is not configured" if scope.is_house else f"{source} is not configured for this organization")
    return connection


def listing(scope: Scope) -> list[Connection]:
    """The customer's connections, by source."""
    return list(Connection.within(scope).order_by(Connection.source))


def secret_fields(connector: Connector) -> frozenset[str]:
    """Names of the settings that are sealed."""
    return frozenset(name for name, setting in connector.settings_schema().fields.items() if setting.metadata.get("secret"))


def configure(deployment: Deployment, scope: Scope, connector: Connector, given: Mapping[str, Any], *, actor: str,
              interval_minutes: int | None = None, group_id: str | None = None) -> Connection:
    """Create or change the customer's connection.

    :param given: settings by field name; a secret that is left out keeps its stored value, one given as "" is removed.
    :param group_id: group that newly discovered assets join; a new connection without one gets a group of its own.
    :raises BadRequest: with the fault of each field.
    """
    _check_interval(interval_minutes)
    _check_group(scope, group_id)
    connection = find(scope, connector.source)
    settings, sealed = _split(deployment, connection, connector, given, actor)
    try:
        with atomic():
            if connection is None:
                connection = _created(deployment, scope, connector, settings, sealed, interval_minutes, group_id, actor)
                action = "connection.created"
            else:
                credentials.replace(deployment.keyring, scope.customer_id, connection.credential_id,
                                    {**dict.fromkeys(secret_fields(connector)), **sealed}, actor=actor)
                _changed(connection, settings, interval_minutes, group_id)
                action = "connection.changed"
            audit.record(action, actor=actor, target=connection.id, customer_id=scope.customer_id,
                         details={"source": connector.source, "settings": settings, "secrets": sorted(sealed)})
    except peewee.IntegrityError as problem:
        if not is_unique_violation(problem):
            raise
        raise Conflict(f"Somebody else is configuring {connector.title} in this moment") from None
    return Connection.get_by_id(connection.id)


def _created(deployment: Deployment, scope: Scope, connector: Connector, settings: dict, sealed: dict[str, str], interval: int | None,
             group_id: str | None, actor: str) -> Connection:
    now = clock.now()
    if group_id is None and not scope.is_house:
        group_id = AssetGroup.create(id=new_id("grp"), customer_id=scope.customer_id, name=f"{connector.title} projects", created_at=now,
                                     updated_at=now).id
    credential_id = credentials.store(deployment.keyring, scope.customer_id, f"connection.{connector.source}", connector.title, sealed,
                                      actor=actor)
    return Connection.create(id=new_id("con"), customer_id=scope.customer_id, source=connector.source, name=connector.title,
                             settings=settings, credential_id=credential_id, interval_minutes=interval, next_due_at=_due(interval, now),
                             group_id=group_id, webhook_key=secrets.token_urlsafe(24), created_at=now, updated_at=now)


def _changed(connection: Connection, settings: dict, interval: int | None, group_id: str | None) -> None:
    now = clock.now()
    columns = {"settings": settings, "interval_minutes": interval, "updated_at": now, "health": "unchecked", "health_code": "",
               "health_message": "", "next_due_at": _due(interval, now)}
    if group_id is not None:
        columns["group_id"] = group_id
    Connection.update(columns).where(Connection.id == connection.id).execute()


def remove(deployment: Deployment, scope: Scope, source: str, *, actor: str) -> None:
    """Forget a connection and its secrets. Its assets leave the totals at once and can be restored like other pruned ones.

    :raises Conflict: while a run of it is under way.
    """
    connection = must_find(scope, source)
    with atomic():
        if Run.select().where(Run.connection_id == connection.id, Run.state.in_(UNFINISHED)).exists():
            raise Conflict("A sync of this connection is under way; wait for its end")
        living = Asset.select(Asset.id).where(Asset.customer_id == scope.customer_id, Asset.connection_id == connection.id)
        catalog.prune(scope.customer_id, [key for (key,) in living.tuples()])
        credentials.delete(scope.customer_id, connection.credential_id, actor=actor)
        Connection.delete().where(Connection.id == connection.id).execute()
        audit.record("connection.removed", actor=actor, target=connection.id, customer_id=scope.customer_id, details={"source": source})


def validate(deployment: Deployment, scope: Scope, connector: Connector, given: Mapping[str, Any] | None, *, actor: str) -> Outcome:
    """Try settings end to end: those given (stored secrets fill what is left out), or the stored connection's.

    :raises BadRequest: when nothing is configured and nothing given, or the settings are malformed.
    """
    connection = find(scope, connector.source)
    if given is None and connection is None:
        where = "" if scope.is_house else " for this organization"
        raise BadRequest(f"{connector.title} is not configured{where}; send its settings to try them")
    if given is None and connection is not None:
        settings = stored_settings(deployment, connection, actor)
    else:
        plain, sealed = _split(deployment, connection, connector, given or {}, actor)
        settings = {**plain, **sealed}
    outcome = _checked(deployment, connector, settings)
    if given is None and connection is not None:
        health.after_run(connection, "ok" if outcome.works else "needs_attention", outcome.code, "" if outcome.works else outcome.message)
    return outcome


def _checked(deployment: Deployment, connector: Connector, settings: Mapping[str, Any]) -> Outcome:
    try:
        result = _opened(deployment, connector, settings)[0].check()
    except ConnectorError as problem:
        return Outcome(False, str(problem), problem.code)
    except Exception as problem:  # the border around a plugin call
        log.exception("the connector %s raised while it checked its settings", connector.source)
        return Outcome(False, f"The connector failed: {type(problem).__name__}", "plugin_error")
    if not isinstance(result, CheckResult):
        return Outcome(False, "The connector gave no result", "plugin_error")
    return Outcome(True, result.message, facts=result.facts)


def open_pull(deployment: Deployment, connection: Connection, *, actor: str) -> tuple[Pull | HousePull, list[Upstream]]:
    """The connection opened for a sync, with its secrets (their reading is audited), and the clients that count its requests.

    :raises ConnectorError: when no enabled plugin offers the source, or the connection's secrets are gone.
    """
    try:
        connector = deployment.plugins.connector(connection.source)
    except NotFound:
        raise WrongService(f"No enabled plugin offers the source '{connection.source}'") from None
    return _opened(deployment, connector, _complete_settings(deployment, connection, connector, actor))


def _complete_settings(deployment: Deployment, connection: Connection, connector: Connector, actor: str) -> dict[str, Any]:
    try:
        settings = stored_settings(deployment, connection, actor)
    except SecretsDestroyed:
        settings = {}
    form = connector.settings_schema().fields
    if any(form[name].required and not settings.get(name) for name in secret_fields(connector)):
        raise SettingsInvalid("The connection's secrets are no longer there; configure it anew")
    return settings


def policy_of(deployment: Deployment) -> UpstreamPolicy:
    """How this deployment talks to upstream services."""
    return UpstreamPolicy(allow=deployment.settings.upstream_allow, backoff=deployment.settings.upstream_backoff,
                          longest_wait=deployment.settings.upstream_longest_wait)


def maker_of(policy: UpstreamPolicy) -> tuple[UpstreamMaker, list[Upstream]]:
    """What makes a connector's clients, and the list of those that it made."""
    opened: list[Upstream] = []

    def upstream(base_url: str, **options: Any) -> Upstream:
        opened.append(Upstream(base_url, policy, **options))
        return opened[-1]

    return upstream, opened


def _opened(deployment: Deployment, connector: Connector, settings: Mapping[str, Any]) -> tuple[Pull | HousePull, list[Upstream]]:
    upstream, opened = maker_of(policy_of(deployment))
    try:
        return connector.open(settings, upstream), opened
    except ConnectorError:
        raise
    except Exception as problem:  # the border around a plugin call
        log.exception("the connector %s raised while it was opened", connector.source)
        raise PluginFailed(f"The connector failed: {type(problem).__name__}") from problem


def asked_about(deployment: Deployment, connection: Connection, connector: AsksAboutWebhooks, headers: Mapping[str, str],
                body: bytes) -> WebhookEvent | None:
    """What a webhook asks for whose key its source has to be asked for; refusals as the connector raises them."""
    hasty = replace(policy_of(deployment), connect_timeout=_WEBHOOK_SECONDS / 2, read_timeout=_WEBHOOK_SECONDS, retries=0)
    settings = stored_settings(deployment, connection, f"webhook:{connection.source}")
    return connector.verify_webhook(settings, maker_of(hasty)[0], headers, body)


def webhook_secret(deployment: Deployment, connection: Connection, connector: Connector) -> str:
    """The secret that the source signs its webhooks with; empty when none is configured."""
    name = getattr(connector, "webhook_secret_setting", "")
    sealed = credentials.reveal(deployment.keyring, connection.customer_id, connection.credential_id, actor=f"webhook:{connection.source}",
                                reason="verify a webhook") if name else {}
    return sealed.get(name, "")


def stored_settings(deployment: Deployment, connection: Connection, actor: str) -> dict[str, Any]:
    """A connection's settings with its secrets; the reading of these is audited."""
    sealed = credentials.reveal(deployment.keyring, connection.customer_id, connection.credential_id, actor=actor, reason="connect")
    return {**connection.settings, **sealed}


def _split(deployment: Deployment, connection: Connection | None, connector: Connector, given: Mapping[str, Any],
           actor: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Checked settings, apart from checked secrets."""
    names = secret_fields(connector)
    stored = {} if connection is None else credentials.reveal(deployment.keyring, connection.customer_id, connection.credential_id,
                                                              actor=actor, reason="change of settings")
    merged = {name: value for name, value in {**stored, **given}.items() if not (name in names and value in ("", None))}
    try:
        loaded = connector.settings_schema().load(merged)
    except ValidationError as problem:
        raise BadRequest("The settings are not valid", details=problem.normalized_messages()) from None
    return ({name: value for name, value in loaded.items() if name not in names},
            {name: value for name, value in loaded.items() if name in names and value})


def _check_interval(minutes: int | None) -> None:
    if minutes is not None and not SHORTEST_INTERVAL <= minutes <= LONGEST_INTERVAL:
        raise BadRequest("The settings are not valid", details={
            "intervalMinutes": [f"Must lie between {SHORTEST_INTERVAL} and {LONGEST_INTERVAL} minutes."]})


def _check_group(scope: Scope, group_id: str | None) -> None:
    if group_id is not None and (scope.is_house or not AssetGroup.visible_in(scope).where(AssetGroup.id == group_id).exists()):
        raise BadRequest("The settings are not valid", details={"groupId": ["There is no such asset group."]})


def _due(interval: int | None, since: int) -> int | None:
    return None if interval is None else since + interval * clock.MINUTE


def form_of(connector: Connector) -> Iterator[tuple[str, fields.Field]]:
    """The settings in the order of the form."""
    yield from connector.settings_schema().fields.items()


def due(moment: int, hidden: Iterable[str]) -> list[Connection]:
    """Connections whose schedule has come, of sources that are on."""
    query = Connection.select().where(Connection.next_due_at <= moment)
    off = sorted(hidden)
    return list(query.where(Connection.source.not_in(off)) if off else query)
