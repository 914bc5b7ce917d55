"""Access tokens: what a good one opens, and every way to make one that is not ours."""

import base64
import hashlib
import hmac
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask import Flask

from core import clock
from core.access.models import RoleGrant
from core.app import create_app
from core.credentials import rotation
from core.credentials.keyring import Keyring, MasterKeyWrong
from core.db import db
from core.hooks.manager import Plugins
from core.people.models import TokenFamily
from core.signin import access_tokens, keys
from core.signin.models import SigningKey
from tests.core.signin.clients import TokenClient, signed_in
from tests.factories import SETTINGS, give_role, make_customer, make_user

KEYRING = Keyring(SETTINGS.master_key)


@pytest.fixture
def ada(app):
    return make_user("msp_admin", email="ada@example.test")


@pytest.fixture
def program(app, ada):
    return signed_in(app, ada)


def part(value) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def header_of(token: str) -> dict:
    return jwt.get_unverified_header(token)


def claims_of(token: str) -> dict:
    return jwt.decode(token, options={"verify_signature": False})


def signed(claims: dict, **header: str) -> str:
    """A token signed with our own key, whatever it says."""
    signer = keys.signer(KEYRING)
    return jwt.encode(claims, signer.private_key, "ES256", headers={"kid": signer.kid, "typ": access_tokens.TYPE, **header})


# -- a good one -------------------------------------------------------------------------------------------------------------


def test_it_says_who_and_opens_what_he_may(app, ada, program):
    session = program.ask().get_json()
    assert session["user"]["id"] == ada.id
    assert clock.now() < clock.from_iso(session["expires"]) <= clock.now() + access_tokens.LIFETIME
    customer = make_customer()
    assert program.ask("/api/manage-assets", **{"x-customer-id": customer.id}).status_code == 200
    assert program.ask("/api/manage-assets").status_code == 400


def test_it_says_no_more_than_it_must(ada, program):
    assert claims_of(program.access).keys() == {"iss", "aud", "client_id", "sub", "sid", "jti", "iat", "exp"}
    assert ada.email not in json.dumps(claims_of(program.access))


def test_what_he_may_is_read_anew_with_each_request(app):
    customer, user = make_customer(), make_user()
    program = signed_in(app, user)
    headers = {"x-customer-id": customer.id}
    assert program.ask("/api/manage-assets", **headers).status_code == 403
    give_role(user, "customer_viewer", customer)
    assert program.ask("/api/manage-assets", **headers).status_code == 200
    RoleGrant.delete().where(RoleGrant.user_id == user.id).execute()
    assert program.ask("/api/manage-assets", **headers).status_code == 403


def test_a_request_needs_no_cookie_and_so_no_csrf_token(app, program):
    answer = app.test_client().post("/api/customers", json={"name": "New"}, headers={
        "Authorization": f"Bearer {program.access}", "Origin": "https://elsewhere.example"})
    assert answer.status_code == 201


def test_it_has_no_session_to_pick_a_customer_for(app, program):
    answer = app.test_client().put("/api/session/customer", json={"customerId": make_customer().id},
                                   headers={"Authorization": f"Bearer {program.access}"})
    assert answer.status_code == 400


def test_recognising_it_takes_two_statements(app, program, statements):
    program.ask()  # the key is known by now
    with statements() as executed:
        program.ask()
    assert len(executed) == 2


# -- bad ones ---------------------------------------------------------------------------------------------------------------


def changed(**changes):
    return lambda token: signed({**claims_of(token), **changes})


def without(*names):
    return lambda token: signed({name: value for name, value in claims_of(token).items() if name not in names})


def in_seconds(offset: int) -> int:
    return clock.now() // 1000 + offset


def by_none(token: str) -> str:
    return f"{part({**header_of(token), 'alg': 'none'})}.{token.split('.')[1]}."


def by_public_key_as_secret(form) -> object:
    """HS256 keyed with what everybody knows: works on whoever lets the token choose the algorithm."""
    def forge(token: str) -> str:
        body = f"{part({**header_of(token), 'alg': 'HS256'})}.{token.split('.')[1]}"
        seal = hmac.new(form(SigningKey.get().public_jwk), body.encode(), hashlib.sha256).digest()
        return f"{body}.{base64.urlsafe_b64encode(seal).rstrip(b'=').decode()}"
    return forge


def pem_of(jwk: dict) -> bytes:
    return jwt.PyJWK(jwk, "ES256").key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def by_foreign_key(token: str) -> str:
    return jwt.encode(claims_of(token), ec.generate_private_key(ec.SECP256R1()), "ES256", headers=header_of(token))


def by_foreign_rsa_key(token: str) -> str:
    return jwt.encode(claims_of(token), rsa.generate_private_key(65537, 2048), "RS256", headers={**header_of(token), "alg": "RS256"})


def by_key_in_header(token: str) -> str:
    own = ec.generate_private_key(ec.SECP256R1())
    jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(own.public_key()))
    return jwt.encode(claims_of(token), own, "ES256", headers={**header_of(token), "jwk": jwk, "jku": "https://evil.example/jwks"})


FORGED = {
    "algorithm none": by_none,
    "algorithm none in capitals": lambda token: by_none(token).replace(part({**header_of(token), "alg": "none"}),
                                                                     part({**header_of(token), "alg": "NoNe"})),
    "hs256 with the public key as PEM": by_public_key_as_secret(pem_of),
    "hs256 with the public key as JWK": by_public_key_as_secret(lambda jwk: json.dumps(jwk).encode()),
    "hs256 with an empty key": by_public_key_as_secret(lambda jwk: b""),
    "another key under our kid": by_foreign_key,
    "an rsa key": by_foreign_rsa_key,
    "a key that it brings along": by_key_in_header,
    "a kid that nobody knows": lambda token: signed(claims_of(token), kid="unknown"),
    "a kid that is a path": lambda token: signed(claims_of(token), kid="../../dev/null"),
    "a kid that is SQL": lambda token: signed(claims_of(token), kid="' OR 1=1 --"),
    "another type": lambda token: signed(claims_of(token), typ="JWT"),
    "no type": lambda token: jwt.encode(claims_of(token), keys.signer(KEYRING).private_key, "ES256",
                                        headers={"kid": keys.signer(KEYRING).kid, "typ": None}),
    "another audience": changed(aud="elsewhere"),
    "several audiences": changed(aud=["stockade", "elsewhere"]),
    "another issuer": changed(iss="https://evil.example"),
    "over": changed(exp=in_seconds(-60)),
    "of the future": changed(iat=in_seconds(600)),
    "for ever": without("exp"),
    "of no issuer": without("iss"),
    "for nobody": without("aud"),
    "of nobody": without("sub"),
    "of no family": without("sid"),
    "of another person": changed(sub="usr_other"),
    "of another family": changed(sid="fam_other"),
    "of a family that is no text": changed(sid={"a": 1}),
    "cut": lambda token: token[:-1],
    "signature changed": lambda token: token[:-10] + "AAAAAAAAAA",
    "claims changed": lambda token: ".".join([token.split(".")[0], part({**claims_of(token), "sub": "usr_x"}), token.split(".")[2]]),
    "two parts": lambda token: token.rpartition(".")[0],
    "nothing": lambda token: "",
    "no JSON": lambda token: "e30.e30.e30",
    "deep": lambda token: f"{part({'alg': 'ES256', 'typ': 'at+jwt', 'kid': 'x'})}.{base64.urlsafe_b64encode(b'[' * 5000).decode()}.x",
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused(app, program, forge):
    program.access = forge(program.access)
    answer = program.ask()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'


def test_the_token_that_they_were_made_of_is_good(program):
    program.access = signed(claims_of(program.access))
    assert program.is_admitted


def test_a_token_of_another_deployment_is_refused(app, program):
    """Even with the same keys: its address is in it."""
    other = replace(SETTINGS, public_url="https://other.example", database_url=app.extensions["stockade"].settings.database_url)
    there = create_app(other, plugins=Plugins(other))
    assert TokenClient(there, program.access, program.refresh).ask().status_code == 401


def test_a_token_whose_family_is_gone_is_refused(program):
    TokenFamily.delete().execute()
    assert not program.is_admitted


# -- keys -------------------------------------------------------------------------------------------------------------------


def test_the_public_keys_are_published_and_verify(client, program):
    answer = client.get("/.well-known/jwks.json")
    [jwk] = answer.get_json()["keys"]
    assert jwk.keys() == {"kty", "crv", "x", "y", "kid", "use", "alg"}
    assert "max-age=300" in answer.headers["Cache-Control"]
    found = jwt.PyJWKSet.from_dict(answer.get_json())[header_of(program.access)["kid"]]
    assert jwt.decode(program.access, found, ["ES256"], audience="stockade")["sid"]


def test_the_private_key_is_sealed(program):
    row = SigningKey.get()
    assert "PRIVATE" not in row.sealed
    assert KEYRING.opened("signing key", row.sealed, "another name") is None
    with pytest.raises(MasterKeyWrong):
        Keyring(b"o" * 32).opened("signing key", row.sealed, row.kid)


def restarted(app: Flask) -> Flask:
    """Another process of the same deployment."""
    settings = app.extensions["stockade"].settings
    return create_app(settings, plugins=Plugins(settings))


def aged(by: int) -> None:
    SigningKey.update(signs_from=SigningKey.signs_from - by, signs_until=SigningKey.signs_until - by).execute()


def test_the_next_key_is_published_a_day_before_it_signs(client, app, ada, program):
    first = header_of(program.access)["kid"]
    aged(keys.SIGNS_FOR - keys.PUBLISHED_BEFORE // 2)
    assert header_of(signed_in(app, ada).access)["kid"] == first
    assert len(client.get("/.well-known/jwks.json").get_json()["keys"]) == 2
    aged(keys.PUBLISHED_BEFORE // 2 + 1)
    assert header_of(signed_in(app, ada).access)["kid"] != first
    assert program.is_admitted


def test_a_key_is_forgotten_once_none_of_its_tokens_can_be_about(app, ada, program):
    first = header_of(program.access)["kid"]
    aged(keys.SIGNS_FOR + keys.PUBLISHED_AFTER)
    anew = restarted(app)
    assert TokenClient(anew, program.access, "").ask().status_code == 401
    signed_in(anew, ada)
    assert first not in [jwk["kid"] for jwk in anew.test_client().get("/.well-known/jwks.json").get_json()["keys"]]
    assert SigningKey.select().count() == 1


def test_a_change_of_the_master_key_changes_nothing_for_who_is_signed_in(app, program):
    rotated = Keyring(b"o" * 32, [SETTINGS.master_key])
    rotation.rewrap(rotated, actor="test")
    assert keys.signer(Keyring(b"o" * 32)).kid == header_of(program.access)["kid"]
    assert program.is_admitted


def test_withdrawn_keys_are_refused_as_soon_as_a_process_looks_again(app, program):
    assert keys.withdraw_all(actor="admin") == 1
    anew = TokenClient(restarted(app), program.access, program.refresh)
    assert not anew.is_admitted
    assert anew.renew().status_code == 201
    assert anew.is_admitted
    assert keys.LOOK_AGAIN <= clock.MINUTE // 2


def test_processes_that_begin_at_once_agree_on_a_key(database):
    def sign(_: int) -> str:
        try:
            return keys.signer(KEYRING).kid
        finally:
            db.close()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(sign, range(4))) <= {jwk["kid"] for jwk in keys.published()}
    assert len({sign(0) for _ in range(3)}) == 1
