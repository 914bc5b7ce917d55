"""A stand-in of an Acme scanner: the same feeds, the same key, and ways to misbehave."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask, Response, abort, request

KEY = "acme-key-of-the-stand-in"

TARGETS = [{"key": "shop", "name": "Web shop"}, {"key": "pay/eu", "name": "Payments EU"}]
FINDINGS = {
    "shop": [
        {"id": "A-1", "title": "SQL injection in search", "risk": "severe", "status": "new", "check": "sqli", "cwe": [89],
         "file": "shop/search.py", "line": 14, "found": "2026-05-01T08:00:00Z"},
        {"id": "A-2", "title": "Cookie without Secure", "risk": "low", "status": "waived", "check": "cookie", "cwe": [614],
         "found": "2026-05-02T08:00:00Z"},
        {"id": "A-3", "title": "Of a risk that nobody documented", "risk": "???", "status": "new", "check": "sqli",
         "found": "2026-05-02T08:00:00Z"},
    ],
    "pay/eu": [],
}
CHECKS = [{"check": "sqli", "name": "SQL injection", "html": "<p>Bind parameters.</p>"}, {"check": "cookie", "name": "Cookie flags"}]


def make_app(key: str = KEY, cut_short: str = "") -> Flask:
    """The stand-in. ``cut_short`` names a path whose feed ends without its last line."""
    app = Flask(__name__)

    def feed(records: Iterable[Mapping[str, Any]]) -> Response:
        lines = [json.dumps(record) for record in records]
        if request.path != cut_short:
            lines.append(json.dumps({"end": len(lines)}))
        return Response("\n".join(lines), mimetype="application/x-ndjson")

    @app.before_request
    def ask_for_the_key() -> None:
        if request.headers.get("X-Acme-Key") != key:
            abort(401)

    @app.get("/about.json")
    def about() -> dict[str, str]:
        return {"product": "Acme Scanner", "version": "3.1"}

    @app.get("/targets.jsonl")
    def targets() -> Response:
        return feed(TARGETS)

    @app.get("/targets/<path:target>.json")
    def one_target(target: str) -> Mapping[str, Any]:
        return next((record for record in TARGETS if record["key"] == target), None) or abort(404)

    @app.get("/targets/<path:target>/findings.jsonl")
    def findings(target: str) -> Response:
        return feed(FINDINGS[target] if target in FINDINGS else abort(404))

    @app.get("/checks.jsonl")
    def checks() -> Response:
        return feed(CHECKS)

    return app
