"""Putting the plugins' blueprints into an app: each in a try of its own, and each behind the question whether it is on."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from flask import Blueprint, Flask, request
from werkzeug.routing import Rule

from core.errors import NotFound
from core.hooks.manager import Plugins
from core.hooks.offers import NotAcceptable

_VARIABLE = re.compile(r"<[^>]*>")


def mount(app: Flask, plugins: Plugins, register: Callable[[Flask, Blueprint], None]) -> None:
    """Register every plugin's blueprints with ``register``, after core's own, and see that their pages exist.

    A plugin is set aside when its blueprint cannot be registered, names a path and method that is taken, or has a view without an
    access rule. Flask cannot take routes back, so those that are there already answer 404, as a switched-off plugin's do.
    """
    owners: dict[str, str] = {}
    app.before_request(_switch(plugins, owners))  # after what core asks of every request, before anything of a plugin
    for name, blueprint in plugins.blueprints():
        before = list(app.url_map.iter_rules())
        owners.setdefault(blueprint.name, name)
        try:
            register(app, blueprint)
            _check(app, before)
        except (Exception, SystemExit) as problem:  # noqa: BLE001 - whatever a plugin does, the rest goes on
            plugins.set_aside(name, problem, "register_blueprints")
    for name, page in plugins.page_entries():
        if not _can_be_opened(app, page.endpoint):
            fault = f"the page {page.title!r} names the endpoint {page.endpoint!r}, which does not exist or takes arguments"
            plugins.set_aside(name, NotAcceptable(fault), "register_pages")


def _switch(plugins: Plugins, owners: dict[str, str]) -> Callable[[], None]:
    def refuse_what_is_off() -> None:
        for blueprint in request.blueprints:
            if blueprint in owners and not plugins.is_serving(owners[blueprint]):
                raise NotFound
    return refuse_what_is_off


def _check(app: Flask, before: Iterable[Rule]) -> None:
    known = set(map(id, before))
    taken = {key for rule in before for key in _keys(rule)}
    for rule in app.url_map.iter_rules():
        if id(rule) in known:
            continue
        for path, method in _keys(rule):
            if (path, method) in taken:
                raise NotAcceptable(f"the route {method} {path} is taken")
        if not _declares_access(app.view_functions[rule.endpoint]):
            raise NotAcceptable(f"the view {rule.endpoint!r} declares no access rule; use requires or public of core.http.access")


def _can_be_opened(app: Flask, endpoint: str) -> bool:
    return endpoint in app.view_functions and any(not rule.arguments for rule in app.url_map.iter_rules(endpoint))


def _keys(rule: Rule) -> set[tuple[str, str]]:
    """Path and method, whatever the variables in the path are called."""
    path = _VARIABLE.sub("<>", rule.rule)
    return {(path, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}


def _declares_access(view: Any) -> bool:
    serves_static_files = getattr(view, "__func__", None) is Blueprint.send_static_file
    if hasattr(view, "access_rule") or serves_static_files:
        return True
    methods = getattr(getattr(view, "view_class", None), "methods", None) or ()
    return bool(methods) and all(hasattr(getattr(view.view_class, method.lower(), None), "access_rule") for method in methods)
