"""What operators see of requests: an id on every one, one log line each, and counters for Prometheus.

The log line has the route's template, never the address itself, whose query may hold what nobody should read later.
"""

import logging
import re
import secrets
import time

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from core import logs
from core.audit import origin

log = logging.getLogger("stockade.access")

REQUEST_ID_HEADER = "X-Request-Id"
_SANE_ID = re.compile(r"[0-9A-Za-z_.-]{8,64}")
_UNMATCHED = "(none)"

REQUESTS = Counter("stockade_http_requests_total", "Requests answered", ["method", "route", "status"])
SECONDS = Histogram("stockade_http_request_seconds", "Time to answer a request", ["method", "route"],
                    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10))
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def install(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    given = request.headers.get(REQUEST_ID_HEADER, "")
    g.request_id = given if _SANE_ID.fullmatch(given) else secrets.token_hex(12)
    g.began = time.perf_counter()
    g.outer_log_context = logs.context.set({"request": g.request_id})
    g.outer_origin = origin.begin(request.remote_addr, g.request_id)


def _end(response: Response) -> Response:
    took = time.perf_counter() - g.began
    route = request.url_rule.rule if request.url_rule is not None else _UNMATCHED
    method = request.method if request.method in _METHODS else "OTHER"
    response.headers[REQUEST_ID_HEADER] = g.request_id
    REQUESTS.labels(method, route, response.status_code).inc()
    SECONDS.labels(method, route).observe(took)
    log.info("request", extra={"fields": {"method": method, "route": route, "status": response.status_code,
                                          "ms": round(took * 1000, 1), **_who()}})
    return response


def _who() -> dict[str, str]:
    principal = g.get("principal")
    return {"user": principal.user_id} if principal is not None else {}


def _forget(problem: BaseException | None) -> None:
    token = g.pop("outer_log_context", None)
    if token is not None:
        logs.context.reset(token)
        origin.end(g.pop("outer_origin"))
