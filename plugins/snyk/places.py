"""What a project hangs on: its organization."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Organization:
    """One of Snyk's organizations; ``group`` is the id of its group, empty when it has none."""

    id: str
    slug: str
    name: str
    group: str = ""
