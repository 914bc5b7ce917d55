"""Small worlds for tests, and a client that does not wait."""

from typing import Any

from plugins.snyk.upstream import Issue, Organization, Project, World


def acme(*projects: Project, group: str = "") -> World:
    """A world with one organization that has these projects."""
    return World.of(Organization.of("acme", *projects, group=group), groups={group: "Acme"} if group else {})


def numbered(count: int, **facts: Any) -> list[Issue]:
    """So many issues of a package, alike but for their keys."""
    return [Issue(f"SNYK-JS-LIB-{number}", packages=(("lib", "1.0.0"),), **facts) for number in range(count)]
