"""Signing in for clients that hold tokens."""

from typing import Any

from flask import Blueprint as PlainBlueprint
from flask import Response, after_this_request, current_app, g, jsonify, make_response, render_template, request
from flask_smorest import Blueprint
from flask_sock import Sock
from simple_websocket import Server

from core import clock
from core.audit import record
from core.errors import Conflict, TooManyRequests, Unauthorized, UpstreamFailed
from core.http import v1
from core.http.access import public
from core.http.addresses import base_url
from core.http.deployed import deployment, settings
from core.people import families
from core.people.models import User
from core.signin import attempts, browser, keys, tokens, waiting
from core.signin.schemas import AuthUriArgs, AuthUriSchema, CallbackKeySchema, RedirectArgs, TokensSchema
from core.signin.service import SignIn

blp = Blueprint("v1_auth", __name__, url_prefix="/v1/auth", description="Signing in, for clients that hold tokens")
open_blp = PlainBlueprint("sign_in", __name__, template_folder="templates", static_folder="static", static_url_path="/sign-in/own")
_sock = Sock()

_LARGEST_FORM = 4 * 1024  # bytes
_FIVE_MINUTES = 300  # seconds; well below the day that a key is published before it signs


@blp.get("/uri")
@public
@blp.arguments(AuthUriArgs, location="query")
@v1.answers(blp, AuthUriSchema, "Successfully fetch Auth URI")
def auth_uri(wanted: dict[str, str]) -> dict[str, str]:
    """Where to send the person, and the key with which the client waits for its tokens at ``/v1/auth/callback``.

    The first provider that is set up, Microsoft before others, unless one is named.
    """
    sign_in = SignIn.current()
    ids = [provider.id for provider in sign_in.providers]
    if not ids:
        raise Conflict("No sign-in provider is set up", code="NoProvider")
    started = sign_in.start(wanted.get("provider") or ids[0], f"{base_url(settings())}/v1/auth/redirect", for_client=True,
                            browser_secret=browser.secret_of(settings()), address=request.remote_addr or "")
    if started.failure:
        raise UpstreamFailed("The sign-in provider cannot be reached; try again later")

    @after_this_request
    def keep_browser(response: Response) -> Response:
        browser.keep(response, started.browser_secret, settings())
        return response

    return {"uri": started.url, "callback_key": started.callback_key}


@blp.get("/redirect")
@public
@blp.arguments(RedirectArgs, location="query")
@blp.response(200, description="A page that closes its window; the tokens go to the client that waits with the callback key")
def came_back(said: dict[str, str]) -> Response:
    """Where the provider sends the browser back to, with ``code`` and ``state``."""
    back = SignIn.current().finish_client(said, browser.secret_of(settings()))
    if back.confirm_secret is not None:
        return _window("confirm", 200, back=back, minutes=(clock.now() - back.asked_at) // clock.MINUTE)
    if back.user is None:
        return _window("failed", 400, failure=back.failure)
    return _window("closed", 200, title="You are signed in")


@blp.post("/confirm")
@public
@blp.response(200, description="A page that closes its window")
def confirm() -> Response:
    """The form of the page that asks whether the client is one's own: ``secret``, and ``answer`` = ``yes`` or ``no``."""
    request.max_content_length = _LARGEST_FORM
    secret = request.form.get("secret", "")
    if request.form.get("answer") == "yes":
        return _window("closed", 200, title="You are signed in") if attempts.confirm(secret) else _window("failed", 400, failure="Restart")
    attempts.decline(secret)
    return _window("closed", 200, title="Nobody was signed in")


@blp.post("/callback")
@public
@blp.arguments(CallbackKeySchema)
@blp.response(201, description="The tokens, in the envelope of ``/v1/auth/refresh``")
@blp.alt_response(202, description="Nobody has signed in yet; ask again in a second")
def callback(body: dict[str, str]) -> Response:
    """What the WebSocket of the same address tells, for clients that cannot hold one: ask every second or two."""
    seats: waiting.Seats = current_app.extensions["stockade_seats"]
    if seats.is_guessing(request.remote_addr or ""):
        raise TooManyRequests(headers={"Retry-After": "60"})
    told = waiting.outcome(SignIn.current(), body["callback_key"], seats, request.remote_addr or "")
    if told is None:
        return make_response(jsonify({"status": 202, "message": waiting.NOT_YET, "data": None, "successful": True}), 202)
    return make_response(jsonify(told[0]), told[0]["status"])


@_sock.route("/v1/auth/callback", bp=open_blp)
@public
def callback_socket(socket: Server) -> None:
    """A client waits for its tokens: ``callbackKey`` in the query, or as JSON in its first message."""
    seats: waiting.Seats = current_app.extensions["stockade_seats"]
    seats.hold(socket, request.args.get("callbackKey", ""), SignIn.current(), request.remote_addr or "")


@blp.post("/refresh")
@public
@v1.answers(blp, TokensSchema, "Token refreshed successfully!", status=201)
def refresh() -> tokens.Tokens:
    """New tokens for the refresh token in ``x-refresh-token``, which is good once: presented again, it ends what came of its sign-in."""
    renewed = tokens.renewed(deployment().keyring, settings(), request.headers.get("x-refresh-token", ""))
    if renewed is None:
        raise Unauthorized
    return renewed


@blp.post("/signout")
@public
@v1.answers(blp, None, "Signed out successfully!")
def sign_out() -> None:
    """End what came of a sign-in: its refresh token and its access tokens are refused from now on.

    Takes the access token, or ``x-refresh-token`` once that is over.
    """
    token = request.headers.get("x-refresh-token")
    if token is not None:
        user_id = families.end_by_token(token)
    else:
        user_id = _ended_by_access_token()
    if user_id is None:
        raise Unauthorized
    record("user.signed_out", actor=User.get_by_id(user_id).email, target=user_id)


def _ended_by_access_token() -> str | None:
    principal = deployment().gate.identify()
    if principal is None or "access_claims" not in g:
        return None
    families.end(g.access_claims.family_id)
    return principal.user_id


@open_blp.get("/.well-known/jwks.json")
@public
def signing_keys() -> Response:
    """The public keys that access tokens are verified with."""
    response = jsonify({"keys": keys.published()})
    response.headers["Cache-Control"] = f"public, max-age={_FIVE_MINUTES}"
    return response


def _window(name: str, status: int, **said: Any) -> Response:
    """A page in the window that a client opened."""
    response = make_response(render_template(f"signin/{name}.html", **said), status)
    response.headers["Referrer-Policy"] = "no-referrer"
    # With our usual policy the browser would cut the window off from the client that opened it, and not let it close itself.
    response.headers["Cross-Origin-Opener-Policy"] = "unsafe-none"
    return response
