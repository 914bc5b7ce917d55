"""Putting a web app together from settings, plugins and a queue. It keeps no state: two processes behind a balancer act as one."""

from typing import Any, NoReturn

import redis.exceptions
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from core import db as database
from core.access.gate import AccessGate
from core.access.nodes import CORE_NODES
from core.access.permission_routes import blp as v1_permissions
from core.access.role_routes import blp as v1_roles
from core.access.routes import blp as customer_users
from core.access.token_routes import blp as v1_tokens
from core.access.user_routes import blp as v1_users
from core.assets.routes import blp as assets
from core.audit.routes import blp as audit
from core.connections import metrics
from core.connections.routes import blp as integrations
from core.connections.routes import runs_blp as runs
from core.credentials.keyring import Keyring
from core.credentials.routes import blp as credentials
from core.credentials.routes import types_blp as credential_types
from core.deployment import Deployment
from core.findings.routes import blp as findings
from core.findings.routes import sla_blp as sla
from core.findings.routes import verdicts_blp as verdicts
from core.hooks.manager import Plugins
from core.hooks.mounting import mount
from core.hooks.routes import blp as plugins_blp
from core.http import bodies, cookies, docs, health, observe, security, teapot
from core.http.surfaces import install_error_answers, register_blueprint
from core.imports.routes import blp as imports
from core.jobs.queue import JobQueue
from core.overview.routes import blp as overview
from core.settings import Settings, SettingsError
from core.signin import waiting
from core.signin.providers import Providers
from core.signin.routes import blp as auth
from core.signin.routes import session_blp as session
from core.signin.service import SignIn
from core.signin.v1_routes import blp as v1_auth
from core.signin.v1_routes import open_blp as sign_in_files
from core.signin.waiting import Seats
from core.tenancy.routes import blp as customers

_MEBIBYTE = 1024 * 1024
_BLUEPRINTS = (auth, session, v1_auth, sign_in_files,
               customers, customer_users, overview, assets, findings, verdicts, sla, integrations, runs, imports,
               plugins_blp, audit, credentials, credential_types,
               v1_users, v1_roles, v1_permissions, v1_tokens, teapot.blp, health.blp, docs.blp)


class NoQueue:
    """Stands where no Redis is configured, and behaves as a ``JobQueue`` whose Redis is away."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise redis.exceptions.ConnectionError("STOCKADE_REDIS_URL is not set")

    enqueue = has = depth = ping = _refuse
    memory = property(_refuse)

    def close(self) -> None:
        """Nothing to close."""


def create_app(settings: Settings, *, plugins: Plugins | None = None, queue: "JobQueue | NoQueue | None" = None) -> Flask:
    """The WSGI app of one deployment. Configures ``core.db`` unless the process has done so, and opens no connection.

    :param plugins: loaded as the settings say when None.
    :param queue: made of ``settings.redis_url`` when None; without either the app runs as it does while Redis is away.
    :raises SettingsError: when no master key is given.
    """
    if settings.master_key is None:
        raise SettingsError(["STOCKADE_MASTER_KEY is missing: 32 bytes in base 64 (openssl rand -base64 32)"])
    if database.db.obj is None:
        database.configure(settings.effective_database_url)
    if queue is None:
        queue = JobQueue(settings.redis_url) if settings.redis_url else NoQueue()
    plugins = plugins or Plugins.load(settings, core_nodes=[node.node for node in CORE_NODES])
    keyring = Keyring.of(settings)
    gate = AccessGate(settings, plugins, lambda: keyring.derived("csrf"))

    app = Flask("stockade", static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=settings.max_request_mb * _MEBIBYTE)
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.extensions["stockade"] = Deployment(settings, plugins, queue, keyring, gate)
    app.extensions["stockade_sign_in"] = SignIn(settings, keyring, Providers(settings))
    app.extensions["stockade_seats"] = Seats(settings.web_threads // 2)
    app.config["SOCK_SERVER_OPTIONS"] = waiting.OPTIONS
    _install(app, settings)
    for blueprint in _BLUEPRINTS:
        register_blueprint(app, blueprint)
    mount(app, plugins, register_blueprint)
    for collect in (metrics.syncs, metrics.queue):
        health.ask_at_scrape(app, collect)
    return app


def _install(app: Flask, settings: Settings) -> None:
    """What happens around every request, outermost first."""
    if settings.trusted_proxies:
        count = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    observe.install(app)
    security.install(app, settings)
    cookies.install(app, settings)
    bodies.install(app)
    install_error_answers(app)
    app.teardown_request(_give_connection_back)


def _give_connection_back(problem: BaseException | None) -> None:
    """Connections open at a request's first statement; here the thread's goes back to the pool."""
    if not database.db.is_closed():
        database.db.close()
