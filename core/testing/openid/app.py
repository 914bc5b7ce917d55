"""The stand-in's paths. Those of Microsoft's identity platform begin with the tenant, those of the Keycloak-shaped one with ``/realms``."""

import uuid
from collections import Counter
from typing import Any

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import grants
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core import OpenIDCode
from flask import Blueprint, Flask, Response, current_app, g, jsonify, redirect, render_template, request

from core.testing import faults
from core.testing.openid import id_tokens
from core.testing.openid.world import REALM, TENANTS, Code, World

_MANY = {"common", "organizations"}
_ERROR_NUMBERS = {"invalid_client": 7000215, "invalid_grant": 70008, "access_denied": 65004}


provider = Blueprint("provider", __name__)
controls = Blueprint("provider_controls", __name__, url_prefix="/standin")


def create_app(world: World) -> Flask:
    """The stand-in as a WSGI app; ``/standin/...`` tells it what to do wrong, from this machine alone."""
    app = Flask(__name__, template_folder="templates")
    app.json.sort_keys = False  # type: ignore[attr-defined]
    calls: Counter[str] = Counter()
    app.extensions.update(world=world, calls=calls, authorization_server=_server(app, world))
    app.register_blueprint(faults.controls(world.faults, calls), url_prefix="/standin")
    app.register_blueprint(controls)
    app.register_blueprint(provider)
    return app


def _world() -> World:
    world: World = current_app.extensions["world"]
    return world


def _authorization_server() -> AuthorizationServer:
    return current_app.extensions["authorization_server"]


@provider.before_request
def misbehave() -> Response | None:
    path = request.path.rstrip("/").rpartition("/")[2]
    g.call = {"openid-configuration": "discovery", "certs": "keys", "auth": "authorize"}.get(path, path)
    current_app.extensions["calls"][g.call] += 1
    g.striking = _world().faults.striking(g.call)
    g.wrong = {fault.kind for fault in g.striking}
    return faults.spoilt_before(g.striking, _error)


@provider.after_request
def misbehave_after(response: Response) -> Response:
    return faults.spoilt_after(g.get("striking", ()), response)


# -- what a provider has ----------------------------------------------------------------------------------------------------------


@provider.get("/<tenant>/v2.0/.well-known/openid-configuration")
def microsoft_discovery(tenant: str) -> Response:
    return _discovery(tenant, f"/{tenant}/oauth2/v2.0", "authorize", f"/{tenant}/discovery/v2.0/keys")


@provider.get(f"/realms/{REALM}/.well-known/openid-configuration")
def realm_discovery() -> Response:
    at = f"/realms/{REALM}/protocol/openid-connect"
    return _discovery("", at, "auth", f"{at}/certs")


@provider.get("/<tenant>/discovery/v2.0/keys", endpoint="microsoft_keys")
@provider.get(f"/realms/{REALM}/protocol/openid-connect/certs", endpoint="realm_keys", defaults={"tenant": ""})
def keys(tenant: str) -> Response:
    return jsonify({"keys": [_published(key, tenant) for key in _world().keys]})


def _published(key: Any, tenant: str) -> dict[str, Any]:
    if not tenant:
        return {**key.public_jwk, "alg": "RS256"}
    owner = "of-another-tenant" if "other_tenants_key" in {fault["kind"] for fault in _world().faults.as_json()} else "{tenantid}"
    return {**key.public_jwk, "cloud_instance_name": "microsoftonline.com", "issuer": f"{_base()}/{owner}/v2.0"}


@provider.route("/<tenant>/oauth2/v2.0/authorize", methods=["GET", "POST"], endpoint="microsoft_authorize")
@provider.route(f"/realms/{REALM}/protocol/openid-connect/auth", methods=["GET", "POST"], endpoint="realm_authorize",
                defaults={"tenant": ""})
def authorize(tenant: str) -> Any:
    if tenant and tenant not in TENANTS | _MANY:
        return _error(400, "invalid_tenant")
    g.issuer = _issuer(tenant)
    server = _authorization_server()
    try:
        grant = server.get_consent_grant(end_user=_person())
    except OAuth2Error as problem:
        if problem.redirect_uri:
            return server.handle_error_response(None, problem)
        return render_template("openid/wrong.html", what=problem.description or problem.error), 400
    if g.wrong & {"access_denied"} or request.form.get("declined"):
        return server.create_authorization_response(grant_user=None, grant=grant)
    return _consented(server, grant, tenant)


def _person() -> Any:
    world = _world()
    return world.who(request.form.get("person") or world.signs_in or request.args.get("login_hint", ""))


def _consented(server: AuthorizationServer, grant: Any, tenant: str) -> Any:
    """Back to the client with a code, once it is clear who it is; else the page that asks."""
    person = _person()
    asked = [one for one in _world().people.values() if tenant in {"", one.tenant} | _MANY]
    if person is None or person not in asked:
        return render_template("openid/picker.html", people=asked, shape="Microsoft" if tenant else "Keycloak")
    return server.create_authorization_response(grant_user=person, grant=grant)


@provider.post("/<tenant>/oauth2/v2.0/token", endpoint="microsoft_token")
@provider.post(f"/realms/{REALM}/protocol/openid-connect/token", endpoint="realm_token", defaults={"tenant": ""})
def token(tenant: str) -> Response:
    if "secret_expired" in g.wrong:
        return _error(401, "invalid_client", 7000222, "The provided client secret keys for app are expired.")
    answer: Response = _authorization_server().create_token_response()
    if answer.status_code >= 400:
        said = answer.get_json(force=True)
        is_spent = request.form.get("code") in _world().spent
        return _error(401 if said["error"] == "invalid_client" else 400, said["error"], 54005 if is_spent else None,
                      said.get("error_description", ""))
    return answer


@provider.get("/<tenant>/oauth2/v2.0/logout")
def logout(tenant: str) -> Any:
    wanted = request.args.get("post_logout_redirect_uri", "")
    return redirect(wanted) if wanted in _world().app.redirect_uris else "Signed out."


# -- controls -----------------------------------------------------------------------------------------------------------------------


@controls.post("/keys")
def rotate() -> Response:
    return jsonify(kid=_world().rotate().kid)


@controls.put("/person/<key>")
def next_person(key: str) -> Response:
    _world().signs_in = key
    return jsonify(person=key)


def _base() -> str:
    return request.host_url.rstrip("/")


def _issuer(tenant: str) -> str:
    if not tenant:
        return f"{_base()}/realms/{REALM}"
    return f"{_base()}/{'{tenantid}' if tenant in _MANY else tenant}/v2.0"


def _discovery(tenant: str, at: str, authorize: str, keys: str) -> Response:
    if tenant and tenant not in TENANTS | _MANY:
        return _error(400, "invalid_tenant", 90002)
    return jsonify({
        "token_endpoint": f"{_base()}{at}/token", "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "jwks_uri": f"{_base()}{keys}", "response_modes_supported": ["query", "fragment", "form_post"],
        "subject_types_supported": ["pairwise"], "id_token_signing_alg_values_supported": ["RS256"],
        "response_types_supported": ["code"], "scopes_supported": ["openid", "profile", "email"], "issuer": _issuer(tenant),
        "authorization_endpoint": f"{_base()}{at}/{authorize}", "end_session_endpoint": f"{_base()}{at}/logout"})


def _error(status: int, error: str = "server_error", number: int | None = None, said: str = "") -> Response:
    number = number or _ERROR_NUMBERS.get(error, 90000)
    trace, correlation = str(uuid.uuid4()), str(uuid.uuid4())
    description = f"AADSTS{number}: {said or error}\r\nTrace ID: {trace}\r\nCorrelation ID: {correlation}"
    response = jsonify({"error": error, "error_description": description, "error_codes": [number], "trace_id": trace,
                        "correlation_id": correlation})
    response.status_code = status
    return response


def _server(app: Flask, world: World) -> AuthorizationServer:
    class CodeGrant(grants.AuthorizationCodeGrant):
        TOKEN_ENDPOINT_AUTH_METHODS = ["client_secret_basic", "client_secret_post"]

        def save_authorization_code(self, code: str, asked: Any) -> None:
            given = asked.payload.data
            world.codes[code] = Code(code, world.app, asked.user, g.issuer, asked.payload.redirect_uri, asked.payload.scope or "",
                                     given.get("nonce", ""), given.get("code_challenge", ""), given.get("code_challenge_method", "plain"))

        def query_authorization_code(self, code: str, client: Any) -> Code | None:
            return world.codes.get(code)

        def delete_authorization_code(self, authorization_code: Code) -> None:
            world.codes.pop(authorization_code.text, None)
            world.spent.add(authorization_code.text)

        def authenticate_user(self, authorization_code: Code) -> Any:
            return authorization_code.person

    class IdToken(OpenIDCode):
        def exists_nonce(self, nonce: str, asked: Any) -> bool:
            return False

        def process_token(self, grant: Any, response: Any) -> dict[str, Any]:
            _, token, _ = response
            if "no_id_token" not in g.wrong:
                token["id_token"] = id_tokens.made(world, grant.request.authorization_code, g.wrong)
            return token

    server = AuthorizationServer(app, query_client=lambda client_id: world.app if client_id == world.app.client_id else None,
                                 save_token=lambda token, asked: None)
    server.register_grant(CodeGrant, [IdToken(require_nonce=False), CodeChallenge(required=True)])
    return server
