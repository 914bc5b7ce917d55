"""Signing in and out, as front ends made for NextAuth do it, and the active customer of a session."""

from typing import Any
from urllib.parse import urlencode

from flask import Response, g, jsonify, make_response, redirect, render_template, request
from flask_smorest import Blueprint

from core import clock
from core.audit import record
from core.errors import BadRequest, Forbidden, NotFound
from core.http import cookies, csrf
from core.http.access import CustomerFrom, Principal, current_principal, public, requires
from core.http.addresses import SIGN_IN_PAGE, base_url, own_url
from core.http.deployed import deployment, settings
from core.people import service, sessions
from core.signin import browser
from core.signin.schemas import CsrfTokenSchema, PickCustomerSchema, ProviderSchema, SessionSchema
from core.signin.service import SignIn
from core.tenancy import service as tenancy

blp = Blueprint("auth", __name__, url_prefix="/api/auth", description="Signing in and out, compatible with NextAuth clients")
_LARGEST_FORM = 64 * 1024  # bytes; anybody may send it
session_blp = Blueprint("session", __name__, url_prefix="/api/session", description="The active customer of a session")


@blp.get("/csrf")
@public
@blp.response(200, CsrfTokenSchema)
def csrf_token() -> dict[str, str]:
    """The token that signing in and out ask for."""
    return {"csrf_token": csrf.token_for_form(settings(), _csrf_secret())}


@blp.get("/providers")
@public
@blp.response(200, ProviderSchema)
def providers() -> Response:
    """The ways to sign in, by id."""
    ways = [("credentials", "E-mail and password", "credentials"),
            *((provider.id, provider.name, "oidc") for provider in SignIn.current().providers)]
    auth = _auth_url()
    return jsonify({way: {"id": way, "name": name, "type": kind, "signinUrl": f"{auth}/signin/{way}",
                          "callbackUrl": f"{auth}/callback/{way}"} for way, name, kind in ways})


@blp.get("/session")
@public
@blp.response(200, SessionSchema)
def session() -> Response:
    """Who is signed in; an empty object when nobody is."""
    principal = deployment().gate.identify()
    if principal is None:
        response = jsonify({})
        if _session_token():
            cookies.drop_session(response, settings())
        return response
    return jsonify({"user": _described(principal), "expires": clock.iso(_expires_at())})


@blp.post("/callback/credentials")
@public
@blp.response(200, description="Signed in: ``{url}`` when ``json`` is true, else a redirect")
@blp.alt_response(401, description="Wrong e-mail address or password")
def sign_in() -> Response:
    """Sign in with ``email`` (or ``username``), ``password`` and ``csrfToken``, as a form or JSON."""
    return _signed_in()


@blp.post("/signin/credentials")
@public
@blp.response(200, description="As ``/callback/credentials``")
def sign_in_too() -> Response:
    """The same under the address that the providers name."""
    return _signed_in()


@blp.post("/signin/<provider>")
@public
@blp.response(200, description="Where to send the browser: ``{url}`` when ``json`` is true, else a redirect")
def sign_in_elsewhere(provider: str) -> Response:
    """Set out to a provider; needs ``csrfToken``. It leads back to ``/callback/<provider>``."""
    given = _submitted()
    if not csrf.is_vouched_for(given.get("csrfToken", ""), settings(), _csrf_secret()):
        return _sent_on(given, f"{_auth_url()}/signin?{_said(given, csrf='true')}")
    started = SignIn.current().start(
        provider, f"{_auth_url()}/callback/{provider}", browser_secret=browser.secret_of(settings()), address=request.remote_addr or "",
        callback_url=own_url(given.get("callbackUrl"), settings()), invitation=given.get("invitation") or None)
    if started.failure:
        return _sent_on(given, f"{_auth_url()}/error?{_said(given, error=started.failure, provider=provider)}")
    # A page's policy on where its forms may lead holds for redirects as well, so that our own asks for an answer that sends it on.
    response = make_response(render_template("signin/leave.html", url=started.url)) if given.get("page") else _sent_on(given, started.url)
    browser.keep(response, started.browser_secret, settings())
    return response


@blp.get("/signin/<provider>")
@public
@blp.response(302, description="To the page where people sign in")
def sign_in_page_too(provider: str) -> Any:
    """Where people sign in; only its button sets out."""
    return sign_in_page()


@blp.get("/callback/<provider>")
@public
@blp.response(302, description="Signed in: to where the sign-in was to lead; else to the page that says why not")
def came_back(provider: str) -> Response:
    """Where a provider sends the browser back to."""
    back = SignIn.current().finish_page(provider, request.args, browser.secret_of(settings()))
    if back.user is None:
        said = {"error": back.failure, **({"callbackUrl": back.callback_url} if back.callback_url else {})}
        return make_response(redirect(f"{base_url(settings())}{SIGN_IN_PAGE}?{urlencode(said)}"))
    response = make_response(redirect(back.callback_url))
    cookies.set_session(response, sessions.begin(back.user.id, settings(), replaced_token=_session_token()), settings())
    browser.forget(response, settings())
    return response


@blp.post("/signout")
@public
@blp.response(200, description="Signed out: ``{url}`` when ``json`` is true, else a redirect")
def sign_out() -> Response:
    """End the session; needs ``csrfToken``."""
    given = _submitted()
    if not csrf.is_vouched_for(given.get("csrfToken", ""), settings(), _csrf_secret()):
        return _sent_on(given, f"{_auth_url()}/signout?csrf=true")
    service.sign_out(_session_token())
    response = _sent_on(given, own_url(given.get("callbackUrl"), settings()))
    cookies.drop_session(response, settings())
    return response


@blp.get("/signin")
@public
@blp.response(302, description="To the page where people sign in")
def sign_in_page() -> Any:
    """Where people sign in. ``csrf`` says that the form was too old."""
    return redirect(_sign_in_page("csrf" if request.args.get("csrf") else request.args.get("error")))


@blp.get("/error")
@public
@blp.response(302, description="To the page where people sign in, which shows the error")
def error_page() -> Any:
    """Where people read why they could not sign in."""
    return redirect(_sign_in_page(request.args.get("error") or "Default"))


@blp.get("/signout")
@public
@blp.response(302, description="To the start page, which has the button")
def sign_out_page() -> Any:
    """Where people sign out."""
    return redirect(base_url(settings()) + "/")


@session_blp.put("/customer")
@requires(customer=CustomerFrom.NONE)
@session_blp.arguments(PickCustomerSchema)
@session_blp.response(200, PickCustomerSchema)
def pick_customer(body: dict[str, str | None]) -> dict[str, str | None]:
    """Make a customer the active one of this session; null for none."""
    principal, customer_id = current_principal(), body["customer_id"]
    if principal.via != "session":
        raise BadRequest("A token has no session: send x-customer-id instead")
    if customer_id is not None:
        _check_may_pick(principal, customer_id)
    sessions.pick_customer(g.user_session, customer_id)
    return {"customer_id": customer_id}


def _check_may_pick(principal: Principal, customer_id: str) -> None:
    if not principal.may_enter(customer_id):
        raise Forbidden
    customer = tenancy.find(customer_id)
    if customer is None or customer.status != "active":
        raise NotFound("There is no such active customer")


def _signed_in() -> Response:
    given = _submitted()
    if not csrf.is_vouched_for(given.get("csrfToken", ""), settings(), _csrf_secret()):
        return _sent_on(given, f"{_auth_url()}/signin?{_said(given, csrf='true')}")
    user = service.authenticate(given.get("email") or given.get("username") or "", given.get("password", ""), settings())
    if user is None:
        return _sent_on(given, f"{_auth_url()}/error?{_said(given, error='CredentialsSignin', provider='credentials')}", status=401)
    token = sessions.begin(user.id, settings(), replaced_token=_session_token())
    record("user.signed_in", actor=user.email, target=user.id)
    response = _sent_on(given, own_url(given.get("callbackUrl"), settings()))
    cookies.set_session(response, token, settings())
    return response


def _session_token() -> str:
    return request.cookies.get(cookies.session_cookie_name(settings()), "")


def _said(given: dict[str, str], **said: str) -> str:
    """A query that also remembers where the sign-in was to lead."""
    if given.get("callbackUrl"):
        said["callbackUrl"] = own_url(given["callbackUrl"], settings())
    return urlencode(said)


def _submitted() -> dict[str, str]:
    """The texts of a form or of a JSON object; true is ``true``, as a form would say it."""
    request.max_content_length = _LARGEST_FORM
    if not request.is_json:
        return dict(request.form.items())
    body = request.get_json()
    if not isinstance(body, dict):
        raise BadRequest("The body is not a JSON object")
    return {name: value if isinstance(value, str) else str(value).lower() for name, value in body.items() if value is not None}


def _sent_on(given: dict[str, str], url: str, status: int = 200) -> Response:
    """The address as JSON for a script that asked so, else a redirect; NextAuth's clients rely on both."""
    if given.get("json") == "true":
        return make_response(jsonify({"url": url}), status)
    return make_response(redirect(url))


def _described(principal: Principal) -> dict[str, Any]:
    return {"id": principal.user_id, "name": principal.name or principal.email, "email": principal.email,
            "image": principal.image or None, "role": principal.roles[0] if principal.roles else None, "roles": list(principal.roles),
            "isMsp": principal.is_msp, "customerId": principal.session_customer_id}


def _expires_at() -> int | None:
    return next(g.get(name).expires_at for name in ("user_session", "access_claims", "api_token") if name in g)


def _sign_in_page(error: str | None) -> str:
    said = {"callbackUrl": own_url(request.args.get("callbackUrl"), settings())}
    if error:
        said["error"] = error
    return f"{base_url(settings())}{SIGN_IN_PAGE}?{urlencode(said, errors='replace')}"


def _auth_url() -> str:
    return base_url(settings()) + "/api/auth"


def _csrf_secret() -> bytes:
    return deployment().keyring.derived("csrf")
