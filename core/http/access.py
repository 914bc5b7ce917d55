"""Who is asking, and the rule that every view declares.

``core.access.gate`` resolves the principal and keeps the rules; views only name them, so that the areas below it can.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, wraps
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

from flask import current_app, g

from core.errors import Forbidden
from core.scope import Scope

INSUFFICIENT = "InsufficientPermission"  # the code of a refusal that says which permission is missing

View = TypeVar("View", bound=Callable[..., Any])
_NONE: Mapping[str, Any] = MappingProxyType({})
_NOTHING: frozenset[str] = frozenset()


def node_matches(pattern: str, node: str) -> bool:
    """Whether a granted pattern covers a node: ``*`` at the end matches the whole rest, elsewhere one segment."""
    if pattern in ("*", node):
        return True
    if "*" not in pattern:
        return False
    wanted, given = pattern.split("."), node.split(".")
    if wanted[-1] == "*" and len(given) >= len(wanted):
        given, wanted = given[: len(wanted) - 1], wanted[:-1]
    return len(wanted) == len(given) and all(part in ("*", other) for part, other in zip(wanted, given, strict=True))


_DEEPEST = 7  # segments; each more doubles the number of patterns that cover a node


@lru_cache(maxsize=2048)
def _patterns_covering(node: str) -> frozenset[str] | None:
    """Every pattern that ``node_matches`` this node; None when it is so deep that there are too many."""
    segments = node.split(".")
    if len(segments) > _DEEPEST:
        return None
    begun, found = [""], ["*", node]
    for segment in segments[:-1]:
        found += [f"{beginning}*" for beginning in begun]
        begun = [f"{beginning}{segment}." for beginning in begun] + [f"{beginning}*." for beginning in begun]
    return frozenset(found + [f"{beginning}*" for beginning in begun] + [beginning + segments[-1] for beginning in begun])


def any_matches(patterns: frozenset[str], node: str) -> bool:
    """Whether one of these patterns covers the node. Takes as long for two thousand of them as for one."""
    covering = _patterns_covering(node)
    if covering is None:
        return any(node_matches(pattern, node) for pattern in patterns)
    return not patterns.isdisjoint(covering)


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who was recognised, and all that he holds; loaded once per request.

    :ivar via: ``session``, ``token`` (an API token), ``access_token`` (of a client that signed in) or ``command``.
    :ivar everywhere: node patterns held in every customer (MSP staff).
    :ivar by_customer: further node patterns, per customer.
    :ivar only_nodes: what an API token was narrowed to; None when it was not.
    :ivar only_customer: the customer that an API token was narrowed to.
    :ivar active_customer_id: the customer that the session has picked.
    :ivar group_limits: asset groups that he is limited to, per customer; a customer without an entry is not limited.
    """

    user_id: str
    email: str
    name: str
    via: str
    image: str = ""
    roles: tuple[str, ...] = ()
    everywhere: frozenset[str] = frozenset()
    by_customer: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NONE)
    only_nodes: frozenset[str] | None = None
    only_customer: str | None = None
    active_customer_id: str | None = None
    group_limits: Mapping[str, frozenset[str]] = field(default_factory=lambda: _NONE)

    @property
    def is_msp(self) -> bool:
        """MSP staff hold something in every customer; everybody else belongs to the customers that he holds roles in."""
        return bool(self.everywhere) and self.only_customer is None

    @property
    def home_customers(self) -> tuple[str, ...]:
        """The customers of a portal user."""
        return tuple(sorted(self.by_customer)) if self.only_customer is None else (self.only_customer,)

    @property
    def actor(self) -> str:
        """How the audit log names him."""
        return self.email if self.via != "token" else f"{self.email} (token)"

    @property
    def session_customer_id(self) -> str | None:
        """The customer that he works in when a request names none: the one his token is narrowed to, the one he picked
        (as long as he may enter it), or the only one he has."""
        if self.only_customer is not None:
            return self.only_customer
        if self.active_customer_id is not None and self.may_enter(self.active_customer_id):
            return self.active_customer_id
        if not self.is_msp and len(self.by_customer) == 1:
            return next(iter(self.by_customer))
        return None

    def may_enter(self, customer_id: str) -> bool:
        """Whether he has any business with this customer."""
        if self.only_customer is not None and customer_id != self.only_customer:
            return False
        return bool(self.everywhere) or customer_id in self.by_customer

    def holds(self, node: str, customer_id: str | None = None) -> bool:
        """Whether he holds ``node`` in the customer; with None, whether he holds it everywhere."""
        if self.only_nodes is not None and not any_matches(self.only_nodes, node):
            return False
        if self.only_customer is not None and customer_id != self.only_customer:
            return False
        if any_matches(self.everywhere, node):
            return True
        return customer_id is not None and any_matches(self.by_customer.get(customer_id, _NOTHING), node)

    def holds_anywhere(self, node: str) -> bool:
        """Whether he holds ``node`` everywhere or in at least one customer."""
        return self.holds(node) or any(self.holds(node, customer_id) for customer_id in self.home_customers)


class CustomerFrom(StrEnum):
    """Where a route takes its customer from; the full table with its status codes is in ``core.access.gate``."""

    HEADER = "header"  # x-customer-id or x-pacci-customer-id, required
    HEADER_OR_SESSION = "header_or_session"
    SESSION = "session"  # the headers are not read
    PATH = "path"  # the view's argument customer_id
    SOURCE = "source"  # the session's; for a source that is the MSP's own, the MSP's: nodes must be held everywhere then
    NONE = "none"  # the route belongs to no customer: nodes must be held everywhere
    ANY = "any"  # the route tells of no customer: nodes held everywhere or in any one customer will do


@dataclass(frozen=True, slots=True)
class AccessRule:
    """What a view asks for. ``nodes`` are all needed; none means any signed-in principal. ``public`` asks for nothing.

    :ivar conditional: nodes that some requests need beside them; the view asks for these with ``require_also``.
    :ivar by_scope: who holds the nodes of a permission scope in place of those of all credentials comes in as well; the view
        looks at what he may see (``core.access.scopes``).
    """

    nodes: tuple[str, ...] = ()
    customer: CustomerFrom = CustomerFrom.SESSION
    public: bool = False
    conditional: tuple[str, ...] = ()
    by_scope: bool = False


class Gate(Protocol):
    def identify(self) -> Principal | None:
        """Who is asking; None when nobody signed in. Raises Unauthorized for a bearer token that is no good."""

    def admit(self, rule: AccessRule, view_args: Mapping[str, Any]) -> None:
        """Set ``g.principal`` and ``g.scope`` for this request, or raise Unauthorized, Forbidden or BadRequest."""

    def reach(self, node: str) -> frozenset[str] | None:
        """The active customers in which the caller holds ``node``; None when he holds it everywhere."""


def requires(*nodes: str, customer: CustomerFrom = CustomerFrom.SESSION, conditional: tuple[str, ...] = (),
             by_scope: bool = False) -> Callable[[View], View]:
    """Declare that a view needs these permission nodes in the customer that ``customer`` says.

    :param conditional: nodes that only some requests need, such as those that send a certain field. Declared here so that the
        catalogue of nodes and the documents know them; the view asks for each with ``require_also`` when its condition holds.
    :param by_scope: see ``AccessRule``.
    """
    rule = AccessRule(nodes, customer, conditional=conditional, by_scope=by_scope)

    def declare(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            current_app.extensions["stockade"].gate.admit(rule, kwargs)
            g.access_rule = rule
            return view(*args, **kwargs)

        guarded.access_rule = rule  # type: ignore[attr-defined]
        return guarded  # type: ignore[return-value]

    return declare


def require_also(node: str, message: str = "", *, customer_id: str | None = None) -> None:
    """Refuse the request unless its principal also holds a node that the view declared as ``conditional``.

    Asked for where the view's rule asks for its nodes: in the customer of the request, else everywhere (``CustomerFrom.NONE``) or
    anywhere (``CustomerFrom.ANY``).

    :param message: what the refusal says; the surface's general words when empty.
    :param customer_id: the customer in question, for a view whose rule does not name it.
    :raises Forbidden: with the code ``InsufficientPermission``.
    :raises RuntimeError: when the view did not declare the node.
    """
    rule: AccessRule = g.access_rule
    if node not in rule.conditional:
        raise RuntimeError(f"the view does not declare {node} as conditional")
    principal = current_principal()
    if customer_id is None and "scope" in g:
        customer_id = g.scope.customer_id
    if customer_id is None and rule.customer is CustomerFrom.ANY:
        is_held = principal.holds_anywhere(node)
    else:
        is_held = principal.holds(node, customer_id)
    if not is_held:
        raise Forbidden(message, code=INSUFFICIENT)


def public(view: View) -> View:
    """Declare that a view is open to everybody, signed in or not."""
    view.access_rule = AccessRule(public=True)  # type: ignore[attr-defined]
    return view


def current_principal() -> Principal:
    """The principal of this request; only inside a view that ``requires`` something."""
    return g.principal


def current_scope() -> Scope:
    """The scope of this request; only inside a view whose rule names a customer."""
    return g.scope
