"""Requests that another site makes a signed-in browser send; see ``docs/decisions/0001-csrf.md``."""

import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import urlsplit

from flask import Response, g, request

from core.errors import Forbidden
from core.settings import Settings

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_TOKEN_BYTES = 32


def cookie_name(settings: Settings) -> str:
    """The name that NextAuth front ends know."""
    return ("__Host-" if settings.is_https else "") + "next-auth.csrf-token"


def issue(secret: bytes) -> tuple[str, str]:
    """A fresh token, and the value of the cookie that vouches for it: ``token|hash``."""
    token = secrets.token_hex(_TOKEN_BYTES)
    return token, f"{token}|{_hash(token, secret)}"


def token_in(cookie: str, secret: bytes) -> str | None:
    """The token that a cookie vouches for; None when we did not write the cookie."""
    token, _, seal = cookie.partition("|")
    return token if token and hmac.compare_digest(seal.encode(), _hash(token, secret).encode()) else None


def is_vouched_for(given: str, settings: Settings, secret: bytes) -> bool:
    """Whether the request's cookie vouches for the token that it sent."""
    expected = token_in(request.cookies.get(cookie_name(settings), ""), secret)
    return expected is not None and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def token_for_form(settings: Settings, secret: bytes) -> str:
    """The token to put into a form or to hand to a script; the response gets the cookie that vouches for it, when it has none yet."""
    token = token_in(request.cookies.get(cookie_name(settings), ""), secret)
    if token is None and "csrf_token" not in g:
        g.csrf_token, g.csrf_cookie = issue(secret)
    return token or g.csrf_token


def set_cookie(response: Response, settings: Settings) -> None:
    """Send the cookie of a token that was issued in this request."""
    if "csrf_cookie" in g:
        response.set_cookie(cookie_name(settings), g.csrf_cookie, secure=settings.is_https, httponly=True, samesite="Lax", path="/")


def own_origins(settings: Settings) -> frozenset[str]:
    """The origins that this deployment is reached at."""
    origins = {f"{request.scheme}://{request.host}"}
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        origins.add(f"{parts.scheme}://{parts.netloc}")
    return frozenset(origins)


def refuse_forged(settings: Settings, secret: Callable[[], bytes]) -> None:
    """Refuse a request that changes something, is authenticated by cookie, and was made by another site.

    :raises Forbidden: when that is so, or cannot be ruled out.
    """
    if request.method in _SAFE_METHODS or _comes_from_us(settings):
        return
    if is_vouched_for(_token_sent(), settings, secret()):
        return
    raise Forbidden("The request came from another site")


def _comes_from_us(settings: Settings) -> bool:
    fetch_site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site in ("same-origin", "none"):
        return True  # said by the browser itself, whatever a proxy made of host and origin
    if origin is not None:
        return origin in own_origins(settings)
    return fetch_site is None  # no browser: every one sends Origin with what is not GET or HEAD


def _token_sent() -> str:
    header = request.headers.get("x-csrf-token")
    if header is not None:
        return header
    if request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return request.form.get("csrfToken", "")
    return ""


def _hash(token: str, secret: bytes) -> str:
    return hmac.new(secret, token.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()
