"""What a caller asks for with a report, and under whose name its assets stand."""

import hashlib
from dataclasses import dataclass

from core.scope import Scope


@dataclass(frozen=True, slots=True)
class Request:
    """What a caller asks for.

    :ivar asset: name of the asset that everything goes to; empty to follow the report, or else the file's name.
    :ivar group_id: group that new assets join; None for the customer's group of imported reports.
    :ivar format: empty to recognise it by content.
    """

    asset: str = ""
    group_id: str | None = None
    format: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """All that another worker needs besides the report itself.

    :ivar limited_to: asset groups that the caller is limited to; None when he is not.
    """

    request: Request
    actor: str
    file_name: str = ""
    limited_to: tuple[str, ...] | None = None

    def scope(self, customer_id: str) -> Scope:
        """What the caller might see when he sent the report."""
        return Scope(customer_id, None if self.limited_to is None else frozenset(self.limited_to))


def owner_id(customer_id: str, source: str) -> str:
    """What stands for the connection in assets and runs of imports: one for each customer and source."""
    return "imp_" + hashlib.sha256(f"{customer_id}\0{source}".encode()).hexdigest()[:28]


def own_group_id(customer_id: str) -> str:
    """The id of the customer's group of imported reports, the same every time."""
    return "grp_" + hashlib.sha256(f"{customer_id}\0imports".encode()).hexdigest()[:28]
