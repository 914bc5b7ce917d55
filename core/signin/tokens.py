"""The two tokens that a signed-in client gets, and gets anew."""

from dataclasses import dataclass
from typing import Any

from core.people import families
from core.settings import Settings
from core.signin import access_tokens


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str
    refresh_token: str


def given(keyring: Any, settings: Settings, user_id: str) -> Tokens:
    """Those of a client that has just signed in."""
    return _told(keyring, settings, families.begin(user_id, settings))


def renewed(keyring: Any, settings: Settings, refresh_token: str) -> Tokens | None:
    """The next ones; None when the refresh token is no good."""
    family = families.renew(refresh_token)
    return _told(keyring, settings, family) if family is not None else None


def _told(keyring: Any, settings: Settings, family: families.Renewed) -> Tokens:
    return Tokens(access_tokens.issue(keyring, settings, family.user_id, family.family_id), family.refresh_token)
