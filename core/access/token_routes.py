"""API tokens on the ``/v1`` surface: one's own, and those of others under nodes of their own."""

from typing import Any

from flask import g
from flask_smorest import Blueprint

from core.access import tokens, users
from core.access.models import ApiToken
from core.access.nodes import NodeRegistry
from core.access.reach import Reach, reach_of
from core.access.v1_schemas import MadeTokenSchema, NewTokenSchema, TokenSchema
from core.http import v1
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import deployment
from core.people.models import User

blp = Blueprint("v1_tokens", __name__, url_prefix="/v1/user", description="API tokens")


@blp.get("/@me/tokens")
@requires("token.manage", customer=CustomerFrom.ANY)
@v1.answers(blp, TokenSchema(many=True), "Tokens Fetched Successfully!")
def list_own_tokens() -> list[ApiToken]:
    """One's own tokens, newest first, with those that ended."""
    return tokens.of_user(current_principal().user_id)


@blp.post("/@me/tokens")
@requires("token.manage", customer=CustomerFrom.ANY)
@blp.arguments(NewTokenSchema)
@v1.answers(blp, MadeTokenSchema, "Token Created Successfully!", status=201)
def create_own_token(facts: dict[str, Any]) -> dict[str, Any]:
    """Make a token of one's own; its secret is in this answer and nowhere else."""
    return _made(users.find(current_principal().user_id, Reach()), facts)


@blp.delete("/@me/tokens/<token_id>")
@requires("token.manage", customer=CustomerFrom.ANY)
@v1.answers(blp, TokenSchema, "Token Revoked Successfully!")
def revoke_own_token(token_id: str) -> ApiToken:
    """End a token of one's own, with those that were made with it."""
    return tokens.revoke(token_id, actor=current_principal().actor, user_id=current_principal().user_id)


@blp.get("/users/<identifier>/tokens")
@requires("token.read.other", customer=CustomerFrom.ANY)
@v1.answers(blp, TokenSchema(many=True), "Tokens Fetched Successfully!")
def list_tokens_of_user(identifier: str) -> list[ApiToken]:
    """A user's tokens, newest first, with those that ended."""
    reach = reach_of(current_principal(), "token.read.other")
    return tokens.of_user(users.find(identifier, reach).id, reach)


@blp.post("/users/<identifier>/tokens")
@requires("token.manage.other", customer=CustomerFrom.ANY)
@blp.arguments(NewTokenSchema)
@v1.answers(blp, MadeTokenSchema, "Token Created Successfully!", status=201)
def create_token_of_user(facts: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Make a token that acts for a user: only with permissions that one holds oneself wherever it will act."""
    return _made(users.find(identifier, reach_of(current_principal(), "token.manage.other")), facts)


@blp.delete("/users/<identifier>/tokens/<token_id>")
@requires("token.manage.other", customer=CustomerFrom.ANY)
@v1.answers(blp, TokenSchema, "Token Revoked Successfully!")
def revoke_token_of_user(identifier: str, token_id: str) -> ApiToken:
    """End a user's token, with those that were made with it."""
    reach = reach_of(current_principal(), "token.manage.other")
    user = users.find(identifier, reach)
    return tokens.revoke(token_id, actor=current_principal().actor, user_id=user.id, reach=reach)


def _made(user: User, facts: dict[str, Any]) -> dict[str, Any]:
    made = tokens.create(current_principal(), user, registry=NodeRegistry(deployment().plugins.permission_nodes), name=facts["name"],
                         nodes=facts["permissions"], customer_id=facts["company_id"], expires_days=facts["expires_in_days"],
                         made_with=g.get("api_token"))
    return {**ApiToken.get_by_id(made.row.id).__data__, "token": made.secret}
