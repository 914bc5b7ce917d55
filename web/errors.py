"""What a browser gets instead of a page: the way to sign in, the choice of a customer, or a page that says what is wrong."""

from urllib.parse import urlencode

from flask import Response, g, make_response, redirect, render_template, request, url_for
from flask.blueprints import BlueprintSetupState

from core.access.gate import NO_ACTIVE_ORGANIZATION
from core.errors import Unauthorized
from core.http.addresses import SIGN_IN_PAGE, base_url
from core.http.deployed import deployment, settings
from core.http.surfaces import Refusal
from web.blueprint import blp
from web.customers import chooser
from web.frame import Frame, current_frame

_PLUGIN = "web"
_TITLES = {400: "That request could not be understood", 403: "You do not have access to this", 404: "There is nothing here",
           409: "That does not fit the present state", 413: "That is too large", 503: "Stockade is busy", 507: "The server's disk is full"}
_FAULT = "Something went wrong on our side"


def answer(refusal: Refusal) -> Response:
    """The answer to a browser that asked for something outside the documented surfaces."""
    # With a fault of our own nothing is certain to work, least of all what has to be asked of the database.
    if refusal.status < 500 and not deployment().plugins.is_serving(_PLUGIN):
        return Response(f"{refusal.message}\n", refusal.status, mimetype="text/plain")
    if refusal.status == 401:
        return _to_sign_in()
    if refusal.code == NO_ACTIVE_ORGANIZATION:
        return chooser(request.full_path.rstrip("?") if request.method == "GET" else url_for("web.overview"))
    return _told(refusal)


def _to_sign_in() -> Response:
    wanted = request.full_path.rstrip("?") if request.method == "GET" else "/"
    said = {"callbackUrl": base_url(settings()) + wanted}
    return make_response(redirect(f"{SIGN_IN_PAGE}?{urlencode(said, errors='replace')}"))


def _told(refusal: Refusal) -> Response:
    title = _TITLES.get(refusal.status, _FAULT if refusal.status >= 500 else "That did not work")
    frame = _frame() if refusal.status < 500 else None
    text = render_template("web/error.html", frame=frame, title=title, refusal=refusal, request_id=g.get("request_id", ""))
    response = make_response(text, refusal.status)
    response.headers["Cache-Control"] = "no-store"
    return response


def _frame() -> Frame | None:
    try:
        deployment().gate.identify()  # an address that nobody serves has not met the gate
    except Unauthorized:
        return None
    return current_frame()


def _offer(state: BlueprintSetupState) -> None:
    state.app.extensions["stockade_html_errors"] = answer


blp.record(_offer)
