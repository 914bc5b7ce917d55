"""The token service: a realm for each tenant, two kinds of grant, and the refusals of Keycloak."""

from collections.abc import Mapping
from typing import Any

from core import clock
from plugins.checkmarx.upstream.world import Credential, World, make_jwt, stable_id

Answer = tuple[dict[str, Any], int]


def grant(world: World, tenant: str, form: Mapping[str, str], api: str) -> Answer:
    """The answer to a token request.

    :param api: the address of the API, which tokens name.
    """
    if tenant not in world.tenants:
        return {"error": "Realm does not exist"}, 404
    kind = form.get("grant_type")
    if not kind:
        return _invalid("invalid_request", "Missing form parameter: grant_type")
    if kind == "client_credentials":
        client = world.clients.get((tenant, form.get("client_id", "")))
        if client is None or client.secret != form.get("client_secret") or _is_over(client):
            return {"error": "invalid_client", "error_description": "Invalid client or Invalid client credentials"}, 401
        return _granted(world, client, api, None)
    if kind == "refresh_token":
        return _of_key(world, tenant, form, api)
    return _invalid("unsupported_grant_type", "Unsupported grant_type")


def holder(world: World, token: str) -> Credential | None:
    """To whom an access token was given; None when it is not good (any more)."""
    known = world.access.get(token)
    return known[0] if known is not None and known[1] > clock.now() else None


def _of_key(world: World, tenant: str, form: Mapping[str, str], api: str) -> Answer:
    key = form.get("refresh_token", "")
    owner = world.api_keys.get(key)
    if owner is None or owner.tenant != tenant:
        return _invalid("invalid_grant", "Offline user session not found" if key.count(".") == 2 else "Invalid refresh token")
    if form.get("client_id") != "ast-app":
        return _invalid("invalid_grant", "Session doesn't have required client")
    if _is_over(owner):
        return _invalid("invalid_grant", "Token is not active")
    return _granted(world, owner, api, key)


def _granted(world: World, credential: Credential, api: str, key: str | None) -> Answer:
    with world.lock:
        tenant, now = world.tenants[credential.tenant], clock.now()
        token = make_jwt(_claims(world, credential, api, now, len(world.access)))
        world.access[token] = credential, now + world.expires_in * clock.SECOND
    answer: dict[str, Any] = {"access_token": token, "expires_in": world.expires_in, "refresh_expires_in": 0, "token_type": "Bearer",
                              "not-before-policy": 0, "scope": "iam-api profile email ast-api groups offline_access roles"}
    if key is not None:
        answer |= {"refresh_token": key, "session_state": stable_id("session", tenant.name)}
    return answer, 200


def _claims(world: World, credential: Credential, api: str, now: int, number: int) -> dict[str, Any]:
    tenant = world.tenants[credential.tenant]
    return {
        "jti": stable_id("token", tenant.name, number, now), "iat": now // clock.SECOND, "exp": now // clock.SECOND + world.expires_in,
        "tenant_name": tenant.name, "tenant_id": f"{tenant.name}::{tenant.id}", "ast-base-url": api,
        "preferred_username": f"service-account-{credential.name}", "roles_ast": ["view-projects", "view-results", "view-scans"],
        "ast-license": {"LicenseData": {"allowedEngines": ["SAST", "SCA", "API Security", "IaC Security", "Containers", "SCS"],
                                        "dastEnabled": tenant.has_dast}},
    }


def _is_over(credential: Credential) -> bool:
    return credential.expires is not None and credential.expires <= clock.now()


def _invalid(error: str, description: str) -> Answer:
    return {"error": error, "error_description": description}, 400
