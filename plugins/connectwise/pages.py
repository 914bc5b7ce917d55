"""The review list as a page: people say there which customer a company is, as programs do with ``POST /v1/company/review/{id}``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, redirect, request, url_for
from marshmallow import ValidationError

from core.errors import BadRequest, Conflict
from core.http.access import CustomerFrom, current_principal, requires
from core.http.deployed import deployment
from core.http.pages import page
from core.tenancy import service as tenancy
from plugins.connectwise import reviewing
from plugins.connectwise.routes import DECIDE, REVIEW
from plugins.connectwise.schemas import ChoiceSchema

blp = Blueprint("connectwise", __name__, template_folder="templates")

_PAGE = 20
_MOST_OFFERED = 500  # names of customers that a browser proposes; any other can be typed
_LINK, _ANOTHER, _CREATE, _IGNORE = "link", "another", "create", "ignore"
_NOTICES = {_LINK: "Linked. What ConnectWise knows about it is pulled now.",
            _CREATE: "It is a new customer now. What ConnectWise knows about it is pulled.",
            _IGNORE: "Left alone."}


@dataclass(frozen=True, slots=True)
class Typed:
    """What stands in the form of a company that was refused, and why.

    :ivar company_id: the company's, as in the review list.
    :ivar what: the choice: ``link:`` and a customer's id, or one of the other words.
    """

    company_id: str = ""
    what: str = ""
    another: str = ""
    name: str = ""
    fault: str = ""

    @classmethod
    def sent(cls, company_id: str) -> "Typed":
        """What this request's form has."""
        what, another, name = (request.form.get(field, "").strip()[:tenancy.LONGEST_NAME] for field in ("what", "another", "name"))
        return cls(company_id, what, another, name)

    def choice(self) -> reviewing.Choice:
        """:raises BadRequest: when nothing was chosen, or it is not complete."""
        if self.what == _ANOTHER:
            return reviewing.Choice(link=_customer_named(self.another))
        kind, _, customer_id = self.what.partition(":")
        wanted: Mapping[str, Mapping[str, Any]] = {_LINK: {"link": customer_id}, _CREATE: {"create": True, "name": self.name},
                                                   _IGNORE: {"ignore": True}}
        if kind not in wanted:
            raise BadRequest("Choose first what it is.")
        try:
            return reviewing.Choice(**ChoiceSchema().load(wanted[kind]))
        except ValidationError as problem:
            raise BadRequest("A new customer needs a name of at most 200 characters.") from problem


def _customer_named(name: str) -> str:
    if not name:
        raise BadRequest("Which customer? Type its name.")
    found = tenancy.taken_names([name])
    if not found:
        raise BadRequest(f"There is no customer called {name}.")
    return next(iter(found.values()))


@blp.get("/integrations/connectwise/review")
@requires(REVIEW, customer=CustomerFrom.NONE)
def review() -> Response:
    return _shown(Typed())


@blp.post("/integrations/connectwise/review/<review_id>")
@requires(REVIEW, DECIDE, customer=CustomerFrom.NONE)
def decide(review_id: str) -> Any:
    typed = Typed.sent(review_id)
    try:
        choice = typed.choice()
        reviewing.decide(deployment(), review_id, choice, actor=current_principal().actor)
    except (BadRequest, Conflict) as problem:  # not an error page: the list is shown again, with the fault at its company
        return _shown(Typed(typed.company_id, typed.what, typed.another, typed.name, problem.message), problem.status)
    notice = _LINK if choice.link else _CREATE if choice.create else _IGNORE
    return redirect(url_for("connectwise.review", notice=notice, page=_number() if _number() > 1 else None, left=_shows_left() or None))


def _shown(typed: Typed, status: int = 200) -> Response:
    is_left, number = _shows_left(), _number()
    found = reviewing.page_of(number, _PAGE, ignored=is_left)
    if not found.rows and number > 1:  # the last one of the page was decided about
        number, found = 1, reviewing.page_of(1, _PAGE, ignored=is_left)
    may_decide = current_principal().holds(DECIDE)
    return page("connectwise/review.html", status, companies=found.rows, number=number, has_more=number * _PAGE < found.total,
                is_left=is_left, typed=typed, may_decide=may_decide, notice=_NOTICES.get(request.args.get("notice", ""), ""),
                customers=tenancy.page_of(1, _MOST_OFFERED).customers if may_decide and found.rows else ())


def _shows_left() -> bool:
    """Whether those that somebody said are no customers are shown, in place of those that wait."""
    return bool(request.values.get("left", ""))


def _number() -> int:
    given = request.values.get("page", "")
    return max(1, int(given)) if given.isascii() and given.isdecimal() and len(given) < 6 else 1
