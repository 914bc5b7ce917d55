"""Whose data a query may touch: a frozen value that every read of tenant data starts from."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scope:
    """One customer's data, as far as the principal may see it.

    :ivar customer_id: the tenant; there is no scope over several.
    :ivar group_ids: None for the whole customer, else the asset groups that the principal is limited to (maybe none).
    :ivar hidden_sources: sources that are switched off in this deployment; their figures and findings do not show.
    """

    customer_id: str
    group_ids: frozenset[str] | None = None
    hidden_sources: frozenset[str] = frozenset()

    @property
    def is_limited_to_groups(self) -> bool:
        return self.group_ids is not None
