"""Access tokens of one credential: fetched when first needed, kept until shortly before they end, fetched anew when refused."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from core.hooks.contracts import UpstreamMaker
from core.hooks.failures import (
    AnswerInvalid,
    ConnectorError,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    UpstreamRefused,
    WrongService,
)
from plugins.checkmarx.settings import Account, claims_of

_ACCEPT = "application/json; version=1.0"
_EARLY = 60.0  # seconds before its end at which a token is no longer used
_LIFE_UNTOLD = 300.0
_NO_TOKEN_SERVICE = ("answered 30", "answered 405")  # a redirect to a sign-in page, a page that takes no POST


class Login:
    """Gives a client for the API whose token is good. Safe to use from many threads.

    :param now: seconds of a clock that only goes forward.
    """

    def __init__(self, upstream: UpstreamMaker, account: Account, now: Callable[[], float] = time.monotonic) -> None:
        self.account = account
        self._upstream = upstream
        self._tokens = upstream(account.identity, secrets=[account.secret], ca_pem=account.ca_pem)
        self._now = now
        self._lock = threading.Lock()
        self._api: Any = None
        self._good_until = 0.0
        self._claims: Mapping[str, Any] = {}

    def api(self) -> Any:
        """The client to ask with.

        :raises ConnectorError: when no token is given; ``OrganizationUnknown`` and ``LoginRejected`` name the usual reasons.
        """
        with self._lock:
            if self._api is None or self._now() >= self._good_until:
                self._fetch()
            return self._api

    def renewed(self, refused: Any) -> Any:
        """The client to ask with once more after the API did not accept the token of ``refused``."""
        with self._lock:
            if self._api is refused:  # else another thread has renewed it meanwhile
                self._fetch()
            return self._api

    @property
    def claims(self) -> Mapping[str, Any]:
        """What the access token says of tenant, user and licence; empty before there is one, or when it is not readable."""
        return self._claims

    def _fetch(self) -> None:
        asked_at = self._now()
        answer = self._answer()
        token, life = answer["access_token"], answer.get("expires_in")
        life = float(life) if isinstance(life, (int, float)) and life >= 0 else _LIFE_UNTOLD
        self._api = self._upstream(self.account.api, headers={"Authorization": f"Bearer {token}", "Accept": _ACCEPT}, secrets=[token],
                                   ca_pem=self.account.ca_pem)
        self._good_until = asked_at + life - min(_EARLY, life / 5)
        self._claims = claims_of(token)

    def _answer(self) -> Mapping[str, Any]:
        account = self.account
        try:
            answer = self._tokens.post_form(account.token_path, account.form, repeatable=True)
        except NotThere:
            raise OrganizationUnknown(f"{account.identity} knows no tenant '{account.tenant}': check the tenant's name, and the region "
                                      f"or address{self._hint()}") from None
        except (LoginRejected, UpstreamRefused, PermissionMissing) as problem:
            raise self._refused(problem) from None
        except AnswerInvalid as problem:
            raise WrongService(f"What answers at {account.identity} is not the token service of Checkmarx One: {problem}") from None
        if not isinstance(answer, dict) or not isinstance(answer.get("access_token"), str) or not answer["access_token"]:
            raise WrongService(f"What answers at {account.identity} is not the token service of Checkmarx One")
        return answer

    def _refused(self, problem: ConnectorError) -> ConnectorError:
        if any(told in str(problem) for told in _NO_TOKEN_SERVICE):
            return WrongService(f"What answers at {self.account.identity} is not the token service of Checkmarx One: {problem}")
        kind = "API key" if "refresh_token" in self.account.form else f"OAuth client '{self.account.form['client_id']}'"
        if isinstance(problem, PermissionMissing):
            return LoginRejected(f"The token service refuses this {kind} from here; the tenant may restrict addresses: {problem}")
        return LoginRejected(f"The token service does not accept the {kind}: it is wrong, expired or revoked ({problem}){self._hint()}")

    def _hint(self) -> str:
        """What an API key says of itself when that is not what the settings say."""
        issuer = claims_of(self.account.form.get("refresh_token", "")).get("iss")
        if not isinstance(issuer, str) or issuer.lower() == f"{self.account.identity}/auth/realms/{self.account.tenant}".lower():
            return ""
        return f". The API key is one of {issuer}"
