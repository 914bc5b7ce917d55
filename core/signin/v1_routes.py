"""Signing in for clients that hold tokens."""

from flask import Blueprint as PlainBlueprint
from flask import Response, g, jsonify, request
from flask_smorest import Blueprint

from core.audit import record
from core.errors import Unauthorized
from core.http import v1
from core.http.access import public
from core.http.deployed import deployment, settings
from core.people import families
from core.people.models import User
from core.signin import keys, tokens
from core.signin.schemas import TokensSchema

blp = Blueprint("v1_auth", __name__, url_prefix="/v1/auth", description="Signing in, for clients that hold tokens")
open_blp = PlainBlueprint("sign_in", __name__, template_folder="templates", static_folder="static", static_url_path="/sign-in/own")

_FIVE_MINUTES = 300  # seconds; well below the day that a key is published before it signs


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
