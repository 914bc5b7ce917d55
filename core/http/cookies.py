"""Cookies that a request left to be sent: the CSRF token's, and a session's whose end was put off."""

from flask import Flask, Response, g

from core.http import csrf
from core.settings import Settings


def session_cookie_name(settings: Settings) -> str:
    """The name that NextAuth front ends know."""
    return ("__Secure-" if settings.is_https else "") + "next-auth.session-token"


def set_session(response: Response, token: str, settings: Settings) -> None:
    response.set_cookie(session_cookie_name(settings), token, max_age=settings.session_hours * 3600, secure=settings.is_https,
                        httponly=True, samesite="Lax", path="/")


def drop_session(response: Response, settings: Settings) -> None:
    response.delete_cookie(session_cookie_name(settings), secure=settings.is_https, httponly=True, samesite="Lax", path="/")


def renew_session(token: str) -> None:
    """Have this request's answer put off the end of the browser's cookie, as the session's own end was."""
    g.renewed_session_token = token


def install(app: Flask, settings: Settings) -> None:
    @app.after_request
    def send_cookies(response: Response) -> Response:
        csrf.set_cookie(response, settings)
        name = session_cookie_name(settings)
        if "renewed_session_token" in g and not any(value.startswith(f"{name}=") for value in response.headers.getlist("Set-Cookie")):
            set_session(response, g.renewed_session_token, settings)
        return response
