"""Bodies of requests. Clients of the documents send JSON, and not all of them say so: ``fetch`` with a text calls it ``text/plain``, curl a
form. Taken at its word such a body would not be read, and a change in which every field is optional would answer 200 and change nothing.
"""

from flask import Flask, current_app, request


def install(app: Flask) -> None:
    app.before_request(_read_as_json)


def _read_as_json() -> None:
    """Where a route takes JSON, the body is JSON whatever it is called; one that is not is refused as such."""
    view = current_app.view_functions.get(request.endpoint or "")
    parameters = getattr(view, "_apidoc", {}).get("arguments", {}).get("parameters", ())
    if any(parameter.get("in") == "json" for parameter in parameters):
        request.environ["CONTENT_TYPE"] = "application/json"
