"""Signed-in clients that hold tokens instead of a cookie. A refresh token is good once; whoever presents a spent one ends its family."""

import secrets
from dataclasses import dataclass

from core import clock
from core.audit import record
from core.db import atomic
from core.ids import new_id
from core.people.models import RefreshToken, TokenFamily, User
from core.people.sessions import digest_of
from core.settings import Settings

PREFIX = "srt_"


@dataclass(frozen=True, slots=True)
class Renewed:
    """Whose family it is, and its one good refresh token."""

    user_id: str
    family_id: str
    refresh_token: str


def begin(user_id: str, settings: Settings) -> Renewed:
    """Start a family for somebody who has just signed in."""
    moment = clock.now()
    with atomic():
        family = TokenFamily.create(id=new_id("fam"), user_id=user_id, created_at=moment, used_at=moment,
                                    expires_at=moment + settings.refresh_days * clock.DAY)
        return Renewed(user_id, family.id, _added(family.id))


def renew(token: str) -> Renewed | None:
    """Spend a refresh token for the next one; None when it is no good. A spent one ends its family, whoever presents it.

    Spending is one statement, so of two who present the same token at once one gets the next, and the other ends the family.
    """
    digest = digest_of(token)
    with atomic():
        spent = (RefreshToken.update(spent_at=clock.now()).where(RefreshToken.digest == digest, RefreshToken.spent_at.is_null())
                 .returning(RefreshToken.family_id))
        family_id = next((row.family_id for row in spent.execute()), None)
        if family_id is None:
            _end_if_known(digest)
            return None
        user_id = _living(family_id)
        return Renewed(user_id, family_id, _added(family_id)) if user_id is not None else None


def end(family_id: str) -> bool:
    """Sign a client out; False when it was so already."""
    return _ended(TokenFamily.id == family_id)


def end_by_token(token: str) -> str | None:
    """Sign out the client that holds this refresh token; whose it was, None when it is unknown or the family has ended."""
    family = (TokenFamily.select().join(RefreshToken, on=(RefreshToken.family_id == TokenFamily.id))
              .where(RefreshToken.digest == digest_of(token)).first())
    return family.user_id if family is not None and end(family.id) else None


def end_all(user_id: str) -> None:
    _ended(TokenFamily.user_id == user_id)


def forget_expired() -> None:
    """Delete the families that ended by themselves. Those that were ended stay until then, to recognise their tokens."""
    over = TokenFamily.select(TokenFamily.id).where(TokenFamily.expires_at <= clock.now())
    with atomic():
        RefreshToken.delete().where(RefreshToken.family_id.in_(over)).execute()
        TokenFamily.delete().where(TokenFamily.expires_at <= clock.now()).execute()


def _added(family_id: str) -> str:
    token = PREFIX + secrets.token_urlsafe(32)
    RefreshToken.create(digest=digest_of(token), family_id=family_id, created_at=clock.now())
    return token


def _living(family_id: str) -> str | None:
    """The active user of a family that has not ended, and note that it is in use; the family stays locked until the commit."""
    moment = clock.now()
    used = (TokenFamily.update(used_at=moment)
            .where(TokenFamily.id == family_id, TokenFamily.ended_at.is_null(), TokenFamily.expires_at > moment)
            .returning(TokenFamily.user_id))
    user_id = next((row.user_id for row in used.execute()), None)
    return user_id if User.select().where(User.id == user_id, User.status == "active").exists() else None


def _end_if_known(digest: str) -> None:
    token = RefreshToken.get_or_none(RefreshToken.digest == digest)
    if token is not None and end(token.family_id):
        user_id = TokenFamily.get_by_id(token.family_id).user_id
        record("user.refresh_token_reused", actor="", target=user_id, details={"family": token.family_id})


def _ended(condition: object) -> bool:
    return TokenFamily.update(ended_at=clock.now()).where(condition, TokenFamily.ended_at.is_null()).execute() > 0
