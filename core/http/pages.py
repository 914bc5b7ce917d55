"""A page in the frame that all pages have: where one is, who is signed in. Plugins show pages of their own in it, too."""

from typing import Any

from flask import Response, current_app

from core.errors import NotFound

#: under which name of the app's extensions it lies what fills in templates: as ``page`` does
FRAME = "stockade_page"


def page(template: str, status: int = 200, **facts: Any) -> Response:
    """A template that extends ``web/base.html``, filled in; never kept by a browser or proxy.

    :param facts: what the template needs besides ``frame``, which tells who is signed in and has the token of its forms.
    :raises NotFound: when this deployment shows no pages.
    """
    shown = current_app.extensions.get(FRAME)
    if shown is None:
        raise NotFound
    answer: Response = shown(template, status, **facts)
    return answer
