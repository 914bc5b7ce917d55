"""The permission nodes of core with their categories, and the roles that are shipped."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from core.access import scopes
from core.hooks.contracts import PermissionNode
from core.http.access import node_matches

EVERYTHING = "*"
LONGEST_PATTERN = 200  # the column that grants are kept in
_PATTERN = re.compile(r"(\*|[a-z0-9_@-]+)(\.(\*|[a-z0-9_@-]+))*")

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
    PermissionNode("user.read", "See one's own user, and check what one may"),
    PermissionNode("user.write", "Change one's own name and picture"),
    PermissionNode("user.read.other", "See another user, and check what he may"),
    PermissionNode("user.list.other", "List users", dependencies=("user.read.other",)),
    PermissionNode("user.write.other", "Change another user, and switch him off"),
    PermissionNode("user.roles.other", "Change which roles another user holds", dependencies=("user.write.other",)),
    PermissionNode("user.permissions.other", "Change which single permissions another user holds", category="permission",
                   dependencies=("user.write.other",)),
    PermissionNode("user.delete.other", "Delete another user"),
    PermissionNode("user.create.service", "Create service accounts"),
    PermissionNode("role.read", "See a role, and the catalogue of permissions"),
    PermissionNode("role.list", "List roles", dependencies=("role.read",)),
    PermissionNode("role.create", "Create roles"),
    PermissionNode("role.modify", "Change roles and what they gather"),
    PermissionNode("role.delete", "Delete roles"),
    PermissionNode("token.manage", "Create and revoke API tokens of one's own"),
    PermissionNode("token.read.other", "See another user's API tokens"),
    PermissionNode("token.manage.other", "Create and revoke another user's API tokens", dependencies=("token.read.other",)),
    PermissionNode("audit.read", "Read the audit log"),
    *scopes.FIXED_NODES,
    PermissionNode("credential_type.fetch", "Open a type of credentials", "credentialType"),
    PermissionNode("credential_type.fetch.many", "List the types of credentials", "credentialType"),
    PermissionNode("credential_type.create", "Create types of credentials", "credentialType"),
    PermissionNode("credential_type.update", "Change types of credentials, and their fields", "credentialType"),
    PermissionNode("credential_type.delete", "Delete types of credentials, with all credentials of the type", "credentialType"),
)

#: name and description of each category of the catalogue, by its key; a plugin's own are named after the plugin
CATEGORIES = {
    "global": ("Global Permissions", "Global wildcard permissions that grant access to all resources"),
    "company": ("Company Permissions", "Permissions for accessing and managing company resources"),
    "credential": ("Credential Permissions", "Permissions for accessing and managing credentials"),
    "credentialType": ("Credential Type Permissions", "Permissions for accessing and managing credential types"),
    "role": ("Role Permissions", "Permissions for accessing and managing roles"),
    "user": ("User Permissions", "Permissions for accessing and managing users"),
    "permission": ("Direct Permissions", "Permissions for managing the single permissions that users hold beside their roles"),
    "uiNavigation": ("UI Navigation Permissions", "Permissions that show the pages in the navigation"),
    "adminUI": ("Admin UI Permissions", "Permissions that show the pages for administrators"),
    "customer": ("Customer Permissions", "Permissions for accessing and managing customers and their users"),
    "overview": ("Overview Permissions", "Permissions for accessing totals and dashboards"),
    "asset": ("Asset Permissions", "Permissions for accessing assets"),
    "group": ("Asset Group Permissions", "Permissions for accessing and managing asset groups"),
    "finding": ("Finding Permissions", "Permissions for accessing and deciding about findings"),
    "sla": ("Due Date Permissions", "Permissions for managing within how many days findings are to be fixed"),
    "integration": ("Integration Permissions", "Permissions for accessing and managing integrations"),
    "run": ("Run Permissions", "Permissions for accessing and deciding about runs"),
    "import": ("Import Permissions", "Permissions for uploading reports"),
    "plugin": ("Plugin Permissions", "Permissions for accessing plugins"),
    "token": ("API Token Permissions", "Permissions for accessing and managing API tokens"),
    "audit": ("Audit Permissions", "Permissions for accessing the audit log"),
}


@dataclass(frozen=True, slots=True)
class BuiltInRole:
    """A role that every deployment has. ``in_customer`` roles are held in one customer, the others everywhere."""

    moniker: str
    name: str
    nodes: tuple[str, ...]
    in_customer: bool


_OWN_USER = ("user.read", "user.write")
_VIEWER = (*_OWN_USER, "overview.read", "asset.list", "finding.list", "finding.read", "group.read", "run.read", "customer.read")

BUILT_IN_ROLES = (
    BuiltInRole("msp_admin", "MSP administrator", ("*",), in_customer=False),
    BuiltInRole("msp_analyst", "MSP analyst", (
        *_OWN_USER, "user.read.other", "user.list.other", "role.read", "role.list", "overview.read",
        "asset.list", "finding.*", "group.read", "customer.list", "customer.read", "customer.user.list",
        "integration.read", "run.read", "plugin.read", "audit.read"), in_customer=False),
    BuiltInRole("customer_admin", "Customer administrator", (
        *_VIEWER, "finding.decide", "sla.manage", "group.write", "customer.user.*", "integration.*", "run.*", "import.create",
        "plugin.read", "user.*", "role.read", "role.list", "token.*"), in_customer=True),
    BuiltInRole("customer_viewer", "Customer viewer", _VIEWER, in_customer=True),
)

CUSTOMER_ROLES = tuple(role.moniker for role in BUILT_IN_ROLES if role.in_customer)


class NodeRegistry:
    """Every node that can be granted: those of core, those that plugins named, and those of the credential types' scopes.

    Made for one request or command, since scopes come and go."""

    def __init__(self, contributed: Iterable[PermissionNode] = ()) -> None:
        self._nodes = {node.node: node for node in self.fixed(contributed)}
        self._of_scopes: tuple[PermissionNode, ...] | None = None  # looked up once, when it is first needed

    @staticmethod
    def fixed(contributed: Iterable[PermissionNode] = ()) -> tuple[PermissionNode, ...]:
        """Those of core and of plugins, which are the same whatever types of credentials there are."""
        return (*CORE_NODES, *contributed)

    def __iter__(self) -> Iterator[PermissionNode]:
        yield from self._nodes.values()
        if self._of_scopes is None:
            self._of_scopes = tuple(node for node, _ in scopes.nodes_in_use())
        yield from self._of_scopes

    def covers(self, pattern: str) -> bool:
        """Whether a pattern is well formed and matches at least one node that exists; others cannot be granted."""
        if len(pattern) > LONGEST_PATTERN or not _PATTERN.fullmatch(pattern):
            return False
        return any(node_matches(pattern, node.node) for node in self)
