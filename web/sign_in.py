"""The page where people sign in. Its form goes to core, which leads back here when the sign-in failed."""

from typing import Any

from flask import redirect, request

from core.http.access import public
from core.http.addresses import SIGN_IN_PAGE, own_url
from core.http.deployed import deployment, settings
from web.blueprint import blp
from web.frame import csrf_token, page

_REFUSED = "That e-mail address and password do not match. After several failed attempts an account is locked for a while."
_EXPIRED = "The page was open for too long. Please try again."
_OTHER = "Signing in did not work. Please try again."
_REASONS = {"CredentialsSignin": _REFUSED, "csrf": _EXPIRED, "SessionRequired": ""}


@blp.get(SIGN_IN_PAGE)
@public
def sign_in() -> Any:
    wanted = own_url(request.args.get("callbackUrl"), settings())
    if deployment().gate.identify() is not None:
        return redirect(wanted)
    error = request.args.get("error", "")
    return page("sign_in.html", csrf_token=csrf_token(), callback_url=wanted, error=_REASONS.get(error, _OTHER) if error else "")
