"""Clients that hold tokens, as tests need them."""

from dataclasses import dataclass
from typing import Any

from flask import Flask

from core.people.models import User
from core.signin import tokens
from tests.factories import SETTINGS

WHO = "/api/auth/session"


@dataclass
class TokenClient:
    """A program that was signed in and keeps its two tokens."""

    app: Flask
    access: str
    refresh: str

    def ask(self, address: str = WHO, **headers: str) -> Any:
        return self.app.test_client().get(address, headers={"Authorization": f"Bearer {self.access}", **headers})

    def renew(self, refresh: str | None = None) -> Any:
        """The answer to asking for new tokens, which are kept when there are any."""
        answer = self.app.test_client().post("/v1/auth/refresh", headers={"x-refresh-token": refresh or self.refresh})
        if answer.status_code == 201:
            self.access, self.refresh = answer.get_json()["data"]["accessToken"], answer.get_json()["data"]["refreshToken"]
        return answer

    @property
    def is_admitted(self) -> bool:
        return self.ask().status_code == 200


def signed_in(app: Flask, user: User) -> TokenClient:
    """As somebody who has just come through the sign-in."""
    given = tokens.given(app.extensions["stockade"].keyring, SETTINGS, user.id)
    return TokenClient(app, given.access_token, given.refresh_token)
