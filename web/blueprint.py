"""The one blueprint of the pages, and what their templates may use."""

import hashlib
from pathlib import Path

from flask import Blueprint, url_for

from web import words

_STATIC = Path(__file__).parent / "static"

blp = Blueprint("web", __name__, template_folder="templates", static_folder="static", static_url_path="/static")

for _word in (words.number, words.share, words.ago, words.readable, words.iso, words.day, words.end_of_day, words.due, words.left,
              words.every, words.lasted, words.web_link, words.safe_html, words.state_of_run, words.health_of, words.state_of_finding,
              words.severity_of, words.counted, words.phase, words.trigger, words.actor, words.reason, words.event, words.level,
              words.changed_value, words.cwe_numbers, words.names):
    blp.add_app_template_filter(_word, _word.__name__)


def _digest() -> str:
    """Of all static files, so that a browser fetches them anew when, and only when, they have changed."""
    contents = (path.read_bytes() for path in sorted(_STATIC.iterdir()) if path.is_file())
    return hashlib.sha256(b"".join(contents)).hexdigest()[:10]


_VERSION = _digest()


@blp.app_template_global()
def static_file(name: str) -> str:
    """The address of a static file of the pages."""
    return url_for("web.static", filename=name, v=_VERSION)
