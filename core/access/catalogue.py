"""The catalogue of permission nodes: what there is to grant, by category, and which routes ask for it.

Nothing of it is a list kept by hand: nodes come from core and the plugins, uses are read off the access rules of the app's views,
and what the navigation shows comes from the registered pages.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from flask import Flask, current_app

from core.access import scopes
from core.access.nodes import CATEGORIES, CORE_NODES, EVERYTHING
from core.hooks.contracts import Page, PermissionNode
from core.hooks.manager import Plugins
from core.http.access import AccessRule
from core.http.schemas import camel

_MEMO = "stockade_catalogue"  # routes and pages are fixed once an app is built
_ADMINISTRATOR = PermissionNode(EVERYTHING, "Full access to all resources and actions (administrator role)", "global")
_NAVIGATION, _ADMIN_PAGES = "uiNavigation", "adminUI"


@dataclass(frozen=True, slots=True)
class CatalogueNode:
    """:ivar used_in: routes whose rule asks for the node, always or on a condition, such as ``GET /v1/role/{identifier}``."""

    node: str
    description: str
    used_in: tuple[str, ...]
    dependencies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Category:
    name: str
    description: str
    permissions: tuple[CatalogueNode, ...]


def current() -> dict[str, Category]:
    """The categories of the running app by their keys."""
    app = current_app._get_current_object()  # type: ignore[attr-defined]
    if _MEMO not in app.extensions:
        app.extensions[_MEMO] = of_app(app, app.extensions["stockade"].plugins)
    return _with_scopes(app.extensions[_MEMO])


def _with_scopes(categories: dict[str, Category]) -> dict[str, Category]:
    """With the nodes of the permission scopes that the types of credentials have at this moment."""
    found = dict(categories)
    uses = {entry.node: entry.used_in for category in categories.values() for entry in category.permissions}
    for node, stands_for in scopes.nodes_in_use():
        entry = CatalogueNode(node.node, node.description, uses[stands_for], node.dependencies)
        found[category_of(node)] = _with(found[category_of(node)], entry)
    return found


def nodes() -> list[CatalogueNode]:
    """All nodes of the running app, each once; what a page's line in the navigation asks for is told by its own entry."""
    found: dict[str, CatalogueNode] = {}
    for _, category in sorted(current().items(), key=lambda named: named[0] in (_NAVIGATION, _ADMIN_PAGES)):
        for entry in category.permissions:
            found.setdefault(entry.node, entry)
    return list(found.values())


def of_app(app: Flask, plugins: Plugins) -> dict[str, Category]:
    """Every category with its nodes, whether or not it has any; what plugins add comes after core's."""
    uses = uses_in(app)
    categories = {key: Category(name, description, ()) for key, (name, description) in CATEGORIES.items()}
    for node, title, description in _all_nodes(plugins):
        category = categories.setdefault(category_of(node), Category(f"{title} Permissions", description, ()))
        entry = CatalogueNode(node.node, node.description, tuple(uses.get(node.node, ())), tuple(node.dependencies))
        categories[category_of(node)] = _with(category, entry)
    for _, page in plugins.page_entries():
        key = _ADMIN_PAGES if page.for_administrators else _NAVIGATION
        categories[key] = _with(categories[key], _shown_by(app, page))
    return categories


def uses_in(app: Flask) -> dict[str, list[str]]:
    """The routes that ask for each node, in the order of their paths."""
    uses: dict[str, list[str]] = {}
    for path, method, rule in sorted(_rules(app), key=lambda found: found[:2]):
        for node in dict.fromkeys((*rule.nodes, *rule.conditional, *_by_scope(rule))):
            uses.setdefault(node, []).append(f"{method} {path}")
    return uses


def _by_scope(rule: AccessRule) -> Iterator[str]:
    """The fixed nodes of a permission scope that open a view as well as those it names."""
    if rule.by_scope:
        yield from filter(None, map(scopes.fixed_in_place_of, rule.nodes))


def _rules(app: Flask) -> Iterator[tuple[str, str, AccessRule]]:
    for route in app.url_map.iter_rules():
        path = "".join(f"{{{camel(text)}}}" if is_variable else text for is_variable, text in route._trace)[1:]
        view = app.view_functions[route.endpoint]
        for method in (route.methods or set()) - {"HEAD", "OPTIONS"}:
            rule = _rule_of(view, method)
            if rule is not None:
                yield path, method, rule


def _rule_of(view: object, method: str) -> AccessRule | None:
    """The rule of a view, which a class of views declares for each method."""
    of_class = getattr(getattr(view, "view_class", None), method.lower(), None)
    return getattr(view, "access_rule", None) or getattr(of_class, "access_rule", None)


def _all_nodes(plugins: Plugins) -> Iterator[tuple[PermissionNode, str, str]]:
    """Each node with the name and description of a category that only it would make."""
    for node in (_ADMINISTRATOR, *CORE_NODES):
        yield node, "", ""
    for manifest, contributed in plugins.nodes_by_plugin():
        for node in contributed:
            yield node, manifest.title, manifest.description


def category_of(node: PermissionNode) -> str:
    return node.category or camel(node.node.partition(".")[0])


def _shown_by(app: Flask, page: Page) -> CatalogueNode:
    paths = sorted(route.rule for route in app.url_map.iter_rules(page.endpoint) if not route.arguments)
    return CatalogueNode(page.node, f"See the page {page.title}", tuple(f"GET {path}" for path in paths), ())


def _with(category: Category, entry: CatalogueNode) -> Category:
    return replace(category, permissions=(*category.permissions, entry))
