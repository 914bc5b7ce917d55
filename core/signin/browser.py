"""The cookie by which a browser that comes back from a provider shows that it is the one that set out."""

from flask import Response, request

from core.settings import Settings
from core.signin.attempts import LASTS


def _name(settings: Settings) -> str:
    return ("__Host-" if settings.is_https else "") + "stockade.sign-in"


def secret_of(settings: Settings) -> str:
    """The secret that this request's browser keeps; empty when it has none."""
    return request.cookies.get(_name(settings), "")


def keep(response: Response, secret: str, settings: Settings) -> None:
    # Lax: it has to come along when the provider, another site, sends the browser back.
    response.set_cookie(_name(settings), secret, max_age=LASTS // 1000, secure=settings.is_https, httponly=True, samesite="Lax", path="/")


def forget(response: Response, settings: Settings) -> None:
    response.delete_cookie(_name(settings), secure=settings.is_https, httponly=True, samesite="Lax", path="/")
