"""For load balancers and monitoring: is this process alive, can it serve, what does it count."""

import hmac
import logging
import os
from collections.abc import Callable, Iterable

import peewee
import redis.exceptions
from flask import Blueprint, Flask, Response, current_app, jsonify, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

from core.db import db, schema
from core.errors import StockadeError, Unauthorized
from core.http.access import public
from core.http.deployed import deployment, settings

log = logging.getLogger(__name__)
blp = Blueprint("health", __name__)

#: gives metric families when Prometheus asks; anything slow or failing is left out of that scrape
Collect = Callable[[], Iterable[Metric]]


@blp.get("/health/live")
@public
def live() -> Response:
    """The process answers."""
    return jsonify({"status": "ok"})


@blp.get("/health/ready")
@public
def ready() -> tuple[Response, int]:
    """Whether requests can be served, part by part. Plugins that were set aside are told, and do not make it unready."""
    parts = {"database": _database(), "redis": _redis()}
    is_ready = all(said == "ok" for said in parts.values())
    body = {"status": "ok" if is_ready else "unavailable", "parts": parts, "pluginsSetAside": _plugins_set_aside()}
    return jsonify(body), 200 if is_ready else 503


@blp.get("/metrics")
@public
def metrics() -> Response:
    """Counters in Prometheus' text form. With ``STOCKADE_METRICS_TOKEN`` set it asks for that as a bearer token."""
    expected = settings().metrics_token
    if expected and not hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {expected}".encode()):
        raise Unauthorized
    text = generate_latest(_counters()) + generate_latest(_computed())
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def ask_at_scrape(app: Flask, collect: Collect) -> None:
    """Have ``collect`` asked, within the app, whenever Prometheus scrapes."""
    app.extensions.setdefault("stockade_collectors", []).append(collect)


def _database() -> str:
    try:
        db.execute_sql("SELECT 1")
        waiting = schema.pending()
    except (peewee.DatabaseError, peewee.InterfaceError, StockadeError) as problem:
        log.warning("not ready: the database does not answer (%s)", type(problem).__name__)
        return "unreachable"
    return f"{len(waiting)} migrations are waiting" if waiting else "ok"


def _redis() -> str:
    try:
        deployment().queue.ping()
    except redis.exceptions.RedisError as problem:
        log.warning("not ready: redis does not answer (%s)", type(problem).__name__)
        return "unreachable"
    return "ok"


def _plugins_set_aside() -> list[dict[str, str]]:
    try:
        listing = deployment().plugins.listing()
    except (peewee.DatabaseError, peewee.InterfaceError, StockadeError):
        return []  # which plugins are switched off is in the database, which is told to be away
    return [{"name": plugin.name, "reason": plugin.reason} for plugin in listing if plugin.state == "set_aside"]


def _counters() -> CollectorRegistry:
    """Counts of this process, or of all processes of this machine when they share ``PROMETHEUS_MULTIPROC_DIR``."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


class _Asked:
    def __init__(self, collect: Collect) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        try:
            return list(self._collect())
        except (peewee.DatabaseError, peewee.InterfaceError, redis.exceptions.RedisError, StockadeError) as problem:
            log.warning("a figure is missing from /metrics: %s", type(problem).__name__)
            return []


def _computed() -> CollectorRegistry:
    registry = CollectorRegistry()
    for collect in current_app.extensions.get("stockade_collectors", ()):
        registry.register(_Asked(collect))
    return registry
