"""The permission nodes of core, and the roles that are shipped."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.hooks.contracts import PermissionNode
from core.http.access import node_matches

CORE_NODES = (
    PermissionNode("overview.read", "See the totals and dashboards of a customer"),
    PermissionNode("asset.list", "List assets"),
    PermissionNode("finding.list", "List findings"),
    PermissionNode("finding.read", "Open a finding with its history"),
    PermissionNode("finding.decide", "Accept findings, call them false positives, ignore and reopen them"),
    PermissionNode("sla.manage", "Change within how many days findings are to be fixed"),
    PermissionNode("group.read", "See asset groups"),
    PermissionNode("group.write", "Change a customer's own asset groups"),
    PermissionNode("group.write.shared", "Change MSP-wide asset groups"),
    PermissionNode("customer.list", "List all customers"),
    PermissionNode("customer.read", "Read a customer's record"),
    PermissionNode("customer.create", "Create customers"),
    PermissionNode("customer.update", "Change customers, and switch them off"),
    PermissionNode("customer.user.list", "List the users of a customer"),
    PermissionNode("customer.user.create", "Add users to a customer"),
    PermissionNode("integration.read", "See integrations and their health"),
    PermissionNode("integration.manage", "Configure and validate integrations"),
    PermissionNode("integration.sync", "Start syncs"),
    PermissionNode("run.read", "See runs and their progress"),
    PermissionNode("run.decide", "Approve or discard a held run"),
    PermissionNode("import.create", "Upload reports of scanners"),
    PermissionNode("plugin.read", "See the plugins of this deployment"),
    PermissionNode("plugin.manage", "Switch plugins on and off"),
    PermissionNode("token.manage", "Create and revoke API tokens of one's own"),
    PermissionNode("audit.read", "Read the audit log"),
)


@dataclass(frozen=True, slots=True)
class BuiltInRole:
    """A role that every deployment has. ``in_customer`` roles are held in one customer, the others everywhere."""

    moniker: str
    name: str
    nodes: tuple[str, ...]
    in_customer: bool


_VIEWER = ("overview.read", "asset.list", "finding.list", "finding.read", "group.read", "run.read", "customer.read")

BUILT_IN_ROLES = (
    BuiltInRole("msp_admin", "MSP administrator", ("*",), in_customer=False),
    BuiltInRole("msp_analyst", "MSP analyst", (
        "overview.read", "asset.list", "finding.*", "group.read", "customer.list", "customer.read", "customer.user.list",
        "integration.read", "run.read", "plugin.read", "audit.read"), in_customer=False),
    BuiltInRole("customer_admin", "Customer administrator", (
        *_VIEWER, "finding.decide", "sla.manage", "group.write", "customer.user.*", "integration.*", "run.*", "import.create",
        "plugin.read", "token.manage"), in_customer=True),
    BuiltInRole("customer_viewer", "Customer viewer", _VIEWER, in_customer=True),
)

CUSTOMER_ROLES = tuple(role.moniker for role in BUILT_IN_ROLES if role.in_customer)


class NodeRegistry:
    """Every node that can be granted: those of core and those that plugins named."""

    def __init__(self, contributed: Iterable[PermissionNode] = ()) -> None:
        self._nodes = {node.node: node for node in (*CORE_NODES, *contributed)}

    def __iter__(self) -> Iterator[PermissionNode]:
        return iter(self._nodes.values())

    def covers(self, pattern: str) -> bool:
        """Whether a pattern matches at least one node that exists; others cannot be granted."""
        return any(node_matches(pattern, node) for node in self._nodes)
