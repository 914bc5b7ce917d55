"""The page where people sign in. Its form goes to core, which leads back here when the sign-in failed."""

from typing import Any

from flask import redirect, request

from core.http.access import public
from core.http.addresses import SIGN_IN_PAGE, own_url
from core.http.deployed import deployment, settings
from core.signin import identities
from core.signin.service import SignIn
from web.blueprint import blp
from web.frame import csrf_token, page

_REFUSED = "That e-mail address and password do not match. After several failed attempts an account is locked for a while."
_EXPIRED = "The page was open for too long. Please try again."
_OTHER = "Signing in did not work. Please try again."
_NO_ACCOUNT = "That account may not sign in here. Ask your administrator for an invitation."
_PROVIDER_AWAY = "The sign-in service could not be reached. Please try again in a moment."
_CANCELLED = "The sign-in was cancelled."
_START_AGAIN = "This sign-in was completed already, or took too long. Please start again."
_REASONS = {"CredentialsSignin": _REFUSED, "csrf": _EXPIRED, "SessionRequired": "", "AccessDenied": _NO_ACCOUNT,
            "OAuthSignin": _PROVIDER_AWAY, "Cancelled": _CANCELLED, "Restart": _START_AGAIN}
_VOID = "This invitation is no longer good. Ask your administrator for another one."


@blp.get(SIGN_IN_PAGE)
@public
def sign_in() -> Any:
    wanted = own_url(request.args.get("callbackUrl"), settings())
    invitation = request.args.get("invitation", "")
    invited = identities.invited(invitation) if invitation else None
    if not invitation and deployment().gate.identify() is not None:
        return redirect(wanted)
    error = request.args.get("error", "")
    reason = _REASONS.get(error, _OTHER) if error else ""
    if invitation and invited is None:
        invitation, reason = "", _VOID
    return page("sign_in.html", csrf_token=csrf_token(), callback_url=wanted, error=reason, providers=SignIn.current().providers,
                invitation=invitation, invited=invited)
