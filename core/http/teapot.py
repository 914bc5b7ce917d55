"""``GET /v1/teapot``: the document's own joke."""

from typing import NoReturn

from flask import abort
from flask_smorest import Blueprint

from core.http.access import public

blp = Blueprint("v1_teapot", __name__, url_prefix="/v1", description="Whether this is a coffee machine")


@blp.get("/teapot")
@public
@blp.response(418, description="I'm a teapot")
def teapot() -> NoReturn:
    """Always 418."""
    abort(418)
