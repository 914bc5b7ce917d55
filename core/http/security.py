"""Headers that every response carries, and characters that no address may."""

from urllib.parse import unquote_to_bytes

from flask import Flask, Response, request

from core.errors import BadRequest, NotFound
from core.http.surfaces import surface_of
from core.settings import Settings

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
_ONE_YEAR = 365 * 24 * 3600


def install(app: Flask, settings: Settings) -> None:
    fixed = {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if settings.is_https:
        fixed["Strict-Transport-Security"] = f"max-age={_ONE_YEAR}"

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in fixed.items():
            response.headers.setdefault(name, value)
        if surface_of(request.path) is not None:
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.before_request
    def refuse_impossible_characters() -> None:
        # PostgreSQL cannot hold a NUL, and nothing of ours has one in its name.
        if "\x00" in request.path:
            raise NotFound
        if b"\x00" in unquote_to_bytes(request.query_string):
            raise BadRequest("The query holds a character that cannot be stored")
