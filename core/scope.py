"""Whose data a query may touch: a frozen value that every read of tenant data starts from."""

from dataclasses import dataclass

#: stands where a customer's id would, for what is the MSP's own: connections that serve all customers, with their secrets and runs.
#: No customer can have it, so whoever names it as a customer is refused as for any that does not exist.
HOUSE = "house"


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
    def is_house(self) -> bool:
        """Whether it is the MSP's own in place of a customer's."""
        return self.customer_id == HOUSE

    @property
    def is_limited_to_groups(self) -> bool:
        return self.group_ids is not None
