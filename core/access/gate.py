"""The gate in front of every view: who is asking, for which customer, and whether he may.

In this order, so that nobody learns more than he should: a missing sign-in is 401 before anything of the request is read;
a forged cross-site request is 403; then the customer is resolved by the table below; then the nodes are asked for (403).

*H* is the one value of ``x-customer-id`` / ``x-pacci-customer-id`` (an empty one counts as absent), *S* the session's customer:
the one that a token is narrowed to, else the one picked with ``PUT /api/session/customer`` while it may still be entered, else
a portal user's only one. *May enter*: MSP staff every customer, others those they hold something in, a narrowed token its one.

=====================  ==========================================================================  ==================================
rule                   situation                                                                   answer
=====================  ==========================================================================  ==================================
HEADER                 no H                                                                        400 Missing x-customer-id header
HEADER                 H given                                                                     as "customer from a header"
HEADER_OR_SESSION      H given                                                                     as "customer from a header"
HEADER_OR_SESSION      no H, S                                                                     as "customer from the session"
HEADER_OR_SESSION      no H, no S                                                                  400 missing organization scope
SESSION                headers are not read; S                                                     as "customer from the session"
SESSION                no S                                                                        400 no active organization
PATH                   the view's ``customer_id``                                                  as "customer from the path"
SOURCE                 the view's ``source`` is the MSP's own                                      403 unless nodes are held everywhere
SOURCE                 any other source                                                            as SESSION
NONE                   nodes must be held everywhere; no scope                                     403 when they are not
ANY                    nodes must be held everywhere or in any customer; no scope                  403 when they are not
ANY, by scope          the same, of credentials' nodes also those of one permission scope          403 when they are not
---------------------  --------------------------------------------------------------------------  ----------------------------------
customer from a        both headers, with different values                                         400 (before all else)
header
                       may not enter, whether or not it exists                                     403
                       may enter as MSP staff; unknown or disabled                                 400 no active customer
                       may enter as one of its users; disabled                                     403
customer from the      a picked one that is disabled, MSP staff                                    400 no active organization
session
                       disabled, one of its users or a narrowed token                              403
customer from the      may not enter, whether or not it exists                                     403
path
                       MSP staff; unknown                                                          404
                       MSP staff; disabled                                                         admitted, to switch it on again
                       one of its users; disabled                                                  403
---------------------  --------------------------------------------------------------------------  ----------------------------------
any that needs S       somebody who is no MSP staff and holds nothing in any customer              403
=====================  ==========================================================================  ==================================

Four statements at most: session, token or family with user, grants with limits, the customer, the plugins that are switched off.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from flask import g, request

from core import logs
from core.access import principals, scopes, tokens
from core.access.reach import reach_of
from core.audit import origin
from core.errors import BadRequest, Forbidden, NoSuchCustomer, Unauthorized
from core.http import cookies, csrf
from core.http.access import AccessRule, CustomerFrom, Principal, current_principal
from core.people import sessions
from core.scope import HOUSE, Scope
from core.settings import Settings
from core.signin import access_tokens
from core.signin.keys import Verifiers
from core.tenancy.models import Customer

HEADERS = ("x-customer-id", "x-pacci-customer-id")
NO_ACTIVE_ORGANIZATION = "NoActiveOrganization"  # the code by which the pages know that a customer has to be chosen first
_ID = re.compile(r"[0-9A-Za-z_-]{1,32}")


class AccessGate:
    """The one gate of a web app; see the module for its rules.

    :param plugins: whose ``hidden_sources()`` go into every scope.
    """

    def __init__(self, settings: Settings, plugins: Any, csrf_secret: Callable[[], bytes]) -> None:
        self._settings = settings
        self._plugins = plugins
        self._csrf_secret = csrf_secret
        self._verifiers = Verifiers()

    def identify(self) -> Principal | None:
        """Who is asking, looked up once per request; None when nobody is.

        :raises Unauthorized: for a bearer token that is no good, even beside a good cookie.
        """
        if "principal" not in g:
            g.principal = self._recognised()
            if g.principal is not None:
                origin.recognised(g.principal.via, g.principal.user_id)
        return g.principal

    def admit(self, rule: AccessRule, view_args: Mapping[str, Any]) -> None:
        """Set ``g.principal``, and ``g.scope`` when the rule names a customer; refuses as the module says."""
        principal = self.identify()
        if principal is None:
            raise Unauthorized
        if principal.via == "session":
            csrf.refuse_forged(self._settings, self._csrf_secret)
        if rule.customer is CustomerFrom.ANY:
            is_admitted = _is_open_anywhere(rule, principal)
        elif rule.customer is CustomerFrom.NONE:
            is_admitted = all(map(principal.holds, rule.nodes))
        elif rule.customer is CustomerFrom.SOURCE and self._plugins.is_of_house(view_args["source"]):
            g.scope = Scope(HOUSE, None, self._plugins.hidden_sources())
            is_admitted = all(map(principal.holds, rule.nodes))
        else:
            customer_id = self._enter(rule.customer, principal, view_args)
            is_admitted = all(principal.holds(node, customer_id) for node in rule.nodes)
        if not is_admitted:
            raise Forbidden

    def reach(self, node: str) -> frozenset[str] | None:
        """As ``core.access.reach``, for the areas below: the active customers in which the caller holds ``node``, None for everywhere."""
        return reach_of(current_principal(), node).customers

    def _enter(self, source: CustomerFrom, principal: Principal, view_args: Mapping[str, Any]) -> str:
        customer_id = _resolved(source, principal, view_args)
        g.scope = Scope(customer_id, principal.group_limits.get(customer_id), self._plugins.hidden_sources())
        logs.context.set({**logs.context.get(), "customer": customer_id})
        return customer_id

    def _recognised(self) -> Principal | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._by_bearer(token.strip())
        return self._by_cookie(request.cookies.get(cookies.session_cookie_name(self._settings), ""))

    def _by_bearer(self, text: str) -> Principal:
        principal = self._by_api_token(text) if text.startswith(tokens.PREFIX) else self._by_access_token(text)
        if principal is None:
            raise Unauthorized(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})
        return principal

    def _by_api_token(self, text: str) -> Principal | None:
        token = principals.api_token_of(text)
        if token is None:
            return None
        g.api_token = token
        tokens.touch(token)
        return principals.by_api_token(token)

    def _by_access_token(self, text: str) -> Principal | None:
        claims = access_tokens.read(text, self._settings, self._verifiers)
        family = principals.family_of(claims) if claims is not None else None
        if claims is None or family is None:
            return None
        g.access_claims = claims
        return principals.by_family(family)

    def _by_cookie(self, cookie: str) -> Principal | None:
        session = principals.session_of(cookie) if cookie else None
        if session is None:
            return None
        g.user_session = session
        if sessions.touch(session, self._settings):
            cookies.renew_session(cookie)
        return principals.by_session(session)


def _is_open_anywhere(rule: AccessRule, principal: Principal) -> bool:
    lacking = [node for node in rule.nodes if not principal.holds_anywhere(node)]
    if not rule.by_scope or not all(map(scopes.has_scopes, lacking)):
        return not lacking
    return not lacking or any(all(principal.holds_anywhere(scopes.in_place_of(node, scope)) for node in lacking)
                              for scope in scopes.in_use())


def _resolved(source: CustomerFrom, principal: Principal, view_args: Mapping[str, Any]) -> str:
    if source is CustomerFrom.PATH:
        return _from_path(principal, view_args["customer_id"])
    named = None if source in (CustomerFrom.SESSION, CustomerFrom.SOURCE) else _named_in_headers()
    if named is not None:
        return _from_header(principal, named)
    if source is CustomerFrom.HEADER:
        raise BadRequest("Missing x-customer-id header")
    return _from_session(principal, source)


def _named_in_headers() -> str | None:
    given = {value for name in HEADERS if (value := request.headers.get(name, "").strip())}
    if len(given) > 1:
        raise BadRequest("x-customer-id and x-pacci-customer-id name different organizations")
    return next(iter(given), None)


def _from_header(principal: Principal, customer_id: str) -> str:
    if not principal.may_enter(customer_id):
        raise Forbidden
    if _status_of(customer_id) != "active":
        if principal.is_msp:
            raise BadRequest("x-customer-id does not name an active customer")
        raise Forbidden
    return customer_id


def _from_session(principal: Principal, source: CustomerFrom) -> str:
    customer_id = principal.session_customer_id
    if customer_id is not None and _status_of(customer_id) == "active":
        return customer_id
    if not principal.is_msp and (customer_id is not None or not principal.by_customer):
        raise Forbidden
    if source is CustomerFrom.HEADER_OR_SESSION:
        raise BadRequest("The request has a missing organization scope: send x-customer-id or select an organization")
    raise BadRequest("There is no active organization: select one first", code=NO_ACTIVE_ORGANIZATION)


def _from_path(principal: Principal, customer_id: str) -> str:
    if not principal.may_enter(customer_id):
        raise Forbidden
    status = _status_of(customer_id)
    if status is None:
        raise NoSuchCustomer
    if status != "active" and not principal.is_msp:
        raise Forbidden
    return customer_id


def _status_of(customer_id: str) -> str | None:
    if not _ID.fullmatch(customer_id):
        return None
    found = Customer.select(Customer.status).where(Customer.id == customer_id).tuples().first()
    return found[0] if found else None
