"""What one asset stands for in SonarQube: a project, or one further branch of it."""

from dataclasses import dataclass

_BRANCH_MARK = "::"  # git allows no colon in a branch name, so the last mark in a key always separates


@dataclass(frozen=True, slots=True)
class Place:
    """A project's main branch, or one other branch of it."""

    project: str
    branch: str = ""

    @property
    def key(self) -> str:
        """The key of the asset that stands for it."""
        return f"{self.project}{_BRANCH_MARK}{self.branch}" if self.branch else self.project

    @property
    def words(self) -> str:
        """How a message names it."""
        return f"project '{self.project}'" + (f", branch '{self.branch}'" if self.branch else "")


def branch_place(key: str) -> Place | None:
    """The branch that an asset key may stand for; None when it can only be a project's own key."""
    project, mark, branch = key.rpartition(_BRANCH_MARK)
    return Place(project, branch) if mark and project and branch else None
