"""What surrounds every page: who is signed in, for which customer, and where one can go from here."""

from dataclasses import dataclass
from typing import Any

from flask import Response, current_app, g, make_response, render_template, request, url_for
from flask.blueprints import BlueprintSetupState
from werkzeug.routing import BuildError

from core.access.nodes import BUILT_IN_ROLES
from core.errors import NotFound
from core.hooks.contracts import Page
from core.http import csrf
from core.http.access import CustomerFrom, Principal
from core.http.addresses import SIGN_IN_PAGE
from core.http.deployed import deployment, settings
from core.http.pages import FRAME
from core.tenancy import service as tenancy
from core.tenancy.models import Customer
from web.blueprint import blp

_ROLE_NAMES = {role.moniker: role.name for role in BUILT_IN_ROLES}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the navigation."""

    title: str
    url: str
    icon: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Frame:
    """:ivar customer: the active one; None while none is picked."""

    principal: Principal
    customer: Customer | None
    entries: list[Entry]
    csrf_token: str

    @property
    def name(self) -> str:
        return self.principal.name or self.principal.email

    @property
    def initials(self) -> str:
        words = self.name.partition("@")[0].replace(".", " ").replace("-", " ").split()
        return "".join(word[0] for word in (words[0], *words[1:][-1:])).upper() if words else "?"

    @property
    def role(self) -> str:
        moniker = self.principal.roles[0] if self.principal.roles else ""
        return _ROLE_NAMES.get(moniker, moniker.replace("_", " ").capitalize())

    @property
    def may_switch(self) -> bool:
        return self.principal.is_msp or len(self.principal.home_customers) > 1

    @property
    def sign_in_url(self) -> str:
        return SIGN_IN_PAGE

    def may(self, node: str) -> bool:
        """Whether what a page leads to is open to the reader."""
        return self.principal.holds(node, self.customer.id if self.customer else None)


def page(template: str, status: int = 200, **facts: Any) -> Response:
    """A whole page, never kept by a browser or proxy since it shows a customer's data."""
    return _framed(f"web/{template}", status, **facts)


def page_of_plugin(template: str, status: int = 200, **facts: Any) -> Response:
    """The same for a plugin, by the whole name of its template; what ``core.http.pages`` gives."""
    if not deployment().plugins.is_serving("web"):
        raise NotFound
    return _framed(template, status, **facts)


def _framed(template: str, status: int, **facts: Any) -> Response:
    response = make_response(render_template(template, frame=current_frame(), **facts), status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _offer(state: BlueprintSetupState) -> None:
    state.app.extensions[FRAME] = page_of_plugin


blp.record(_offer)


def csrf_token() -> str:
    """The token that our forms carry."""
    return csrf.token_for_form(settings(), deployment().keyring.derived("csrf"))


def current_frame() -> Frame | None:
    """None when nobody was recognised in this request."""
    principal: Principal | None = g.get("principal")
    if principal is None:
        return None
    customer = _customer(principal)
    return Frame(principal, customer, _entries(principal, customer.id if customer else None), csrf_token())


def _customer(principal: Principal) -> Customer | None:
    """The one that this request is for, else the one that the session has picked; pages that are for none show that too."""
    scope = g.get("scope")
    customer_id = scope.customer_id if scope and not scope.is_house else principal.session_customer_id
    customer = tenancy.find(customer_id) if customer_id else None
    return customer if customer and customer.status == "active" else None


def pages_about(source: str) -> list[Entry]:
    """The pages that plugins have about an integration, as far as the reader may see them."""
    frame = current_frame()
    return _entries(frame.principal, frame.customer.id if frame.customer else None, source) if frame else []


def _entries(principal: Principal, customer_id: str | None, source: str = "") -> list[Entry]:
    pages = (page for page in deployment().plugins.pages() if page.source == source)
    return [entry for page in pages if _is_open(page, principal, customer_id) and (entry := _entry(page)) is not None]


def _is_open(entry: Page, principal: Principal, customer_id: str | None) -> bool:
    """A page that belongs to no customer asks for its nodes everywhere."""
    rule = getattr(current_app.view_functions.get(entry.endpoint), "access_rule", None)
    is_of_nobody = rule is not None and rule.customer is CustomerFrom.NONE
    return principal.holds(entry.node, None if is_of_nobody else customer_id)


def _entry(entry: Page) -> Entry | None:
    try:
        url = url_for(entry.endpoint)
    except BuildError:  # a plugin that names an endpoint it does not have only loses its line
        return None
    is_current = request.path in (url, f"{url}explain") or (url != "/" and request.path.startswith(url.rstrip("/") + "/"))
    return Entry(entry.title, url, entry.icon, is_current)
