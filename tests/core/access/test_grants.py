"""Roles, nodes and tokens as services: what is shipped, and who may give what."""

import re

import pytest

from core.access import service as access
from core.access import tokens
from core.access.models import ApiToken, GroupLimit, Role, RoleGrant
from core.access.nodes import BUILT_IN_ROLES, CORE_NODES, NodeRegistry
from core.access.principals import of_user
from core.audit.models import AuditEvent
from core.errors import BadRequest, Conflict, Forbidden, NotFound
from core.hooks.contracts import PermissionNode
from core.http.access import Principal, node_matches
from core.people.service import add
from tests.factories import SETTINGS, give_role, make_customer, make_user

pytestmark = pytest.mark.usefixtures("sqlite_database")
REGISTRY = NodeRegistry([PermissionNode("acme.report.read", "Read reports")])


def test_the_shipped_roles_are_there_however_often_they_are_ensured():
    for _ in range(3):
        access.ensure_built_in_roles()
    assert {role.moniker for role in Role.select()} == {"msp_admin", "msp_analyst", "customer_admin", "customer_viewer"}


def test_a_shipped_role_that_was_changed_is_brought_back_and_others_stay():
    access.ensure_built_in_roles()
    Role.update(nodes=["*"]).where(Role.moniker == "customer_viewer").execute()
    Role.create(id="rol_own", moniker="our_own", name="Our own", nodes=["run.read"], created_at=1, updated_at=1)
    access.ensure_built_in_roles()
    assert "*" not in Role.get(Role.moniker == "customer_viewer").nodes
    assert Role.get(Role.moniker == "our_own").nodes == ["run.read"]


def test_nothing_is_written_when_the_roles_are_right(statements):
    access.ensure_built_in_roles()
    with statements() as executed:
        access.ensure_built_in_roles()
    assert not any(sql.startswith(("INSERT", "UPDATE")) for sql in executed)


def test_every_pattern_of_a_shipped_role_covers_a_node_that_exists():
    for role in BUILT_IN_ROLES:
        for pattern in role.nodes:
            assert REGISTRY.covers(pattern), (role.moniker, pattern)


def test_a_customer_administrator_holds_all_that_a_viewer_holds():
    admin, viewer = (role.nodes for role in BUILT_IN_ROLES if role.in_customer)
    assert set(viewer) <= set(admin)


def test_what_the_shipped_roles_may_not():
    def holds(moniker: str, node: str) -> bool:
        role = next(role for role in BUILT_IN_ROLES if role.moniker == moniker)
        return any(node_matches(pattern, node) for pattern in role.nodes)

    writes = {"group.write", "group.write.shared", "customer.create", "customer.update", "customer.user.create", "integration.manage",
              "integration.sync", "run.decide", "token.manage", "user.write.other", "user.roles.other", "user.permissions.other",
              "user.delete.other", "user.create.service", "role.create", "role.modify", "role.delete", "token.manage.other"}
    assert not any(holds("msp_analyst", node) for node in writes)
    assert not any(holds("customer_viewer", node) for node in writes | {"audit.read", "customer.list", "integration.read"})
    assert not any(holds("customer_admin", node) for node in (
        "group.write.shared", "customer.list", "customer.create", "customer.update",
        "role.create", "role.modify", "role.delete", "audit.read"))


def test_the_catalogue_has_each_node_once_with_a_description():
    assert len({node.node for node in CORE_NODES}) == len(CORE_NODES)
    assert all(re.fullmatch(r"[A-Z].{8,}[^.]", node.description) for node in CORE_NODES)


@pytest.mark.parametrize(("pattern", "node", "is_covered"), [
    ("*", "finding.list", True), ("finding.*", "finding.list", True), ("finding.*", "finding", False),
    ("finding.*", "findings.list", False), ("customer.*", "customer.user.list", True), ("*.read", "finding.read", True),
    ("*.read", "finding.note.read", False), ("group.write", "group.write.shared", False), ("group.write.shared", "group.write", False),
    ("finding.list", "finding.*", False), ("finding.*", "finding.*", True), ("finding.*", "*", False), ("*", "*", True),
    ("customer.user.*", "customer.*", False), ("", "finding.list", False), ("finding", "finding.list", False)])
def test_what_a_pattern_covers(pattern, node, is_covered):
    assert node_matches(pattern, node) is is_covered


# -- giving -----------------------------------------------------------------------------------------------------------------


def test_a_customer_s_role_is_given_in_a_customer_and_staff_s_everywhere():
    customer = make_customer()
    user = make_user()
    with pytest.raises(BadRequest, match="held in one customer"):
        access.grant_role(access.COMMAND, user, "customer_admin")
    with pytest.raises(BadRequest, match="held everywhere"):
        access.grant_role(access.COMMAND, user, "msp_admin", customer.id)
    with pytest.raises(BadRequest, match="no role nonsense"):
        access.grant_role(access.COMMAND, user, "nonsense")
    assert RoleGrant.select().count() == 0


def test_a_role_is_given_once():
    user = make_user("msp_admin")
    with pytest.raises(Conflict):
        access.grant_role(access.COMMAND, user, "msp_admin")


def test_an_analyst_makes_nobody_an_administrator():
    analyst = of_user(make_user("msp_analyst"))
    for role in ("msp_admin", "customer_admin"):
        with pytest.raises(Forbidden):
            access.grant_role(analyst, make_user(), role, make_customer().id if role == "customer_admin" else None)


def test_an_administrator_of_one_customer_gives_nothing_in_another():
    first, second = make_customer(), make_customer()
    admin = of_user(make_user("customer_admin", customer=first))
    access.grant_role(admin, make_user(), "customer_viewer", first.id)
    with pytest.raises(Forbidden):
        access.grant_role(admin, make_user(), "customer_viewer", second.id)
    with pytest.raises(Forbidden):
        access.grant_node(admin, make_user(), "finding.list", None, REGISTRY)


def test_a_wider_pattern_than_one_s_own_is_not_given():
    customer = make_customer()
    viewer = of_user(make_user("customer_viewer", customer=customer))
    access.grant_node(viewer, make_user(), "finding.list", customer.id, REGISTRY)
    for pattern in ("*", "*.read", "group.*", "finding.*"):
        with pytest.raises(Forbidden):
            access.grant_node(viewer, make_user(), pattern, customer.id, REGISTRY)


def test_a_node_that_nobody_registered_cannot_be_given():
    access.grant_node(access.COMMAND, make_user(), "acme.report.read", None, REGISTRY)
    with pytest.raises(BadRequest):
        access.grant_node(access.COMMAND, make_user(), "acme.report.write", None, REGISTRY)


def test_a_single_node_is_held_beside_the_roles():
    customer = make_customer()
    user = make_user("customer_viewer", customer=customer)
    access.grant_node(access.COMMAND, user, "integration.read", customer.id, REGISTRY)
    principal = of_user(user)
    assert principal.holds("integration.read", customer.id)
    assert not principal.holds("integration.read")
    assert principal.holds_anywhere("integration.read")


def test_the_command_line_holds_everything():
    assert access.COMMAND.holds("acme.report.read")
    assert access.COMMAND.is_msp


# -- tokens -----------------------------------------------------------------------------------------------------------------


def create(giver: Principal, user, **more) -> str:
    return tokens.create(giver, user, registry=REGISTRY, **more).secret


def test_a_token_is_shown_once_and_kept_as_a_digest():
    token = create(access.COMMAND, make_user("msp_admin"), name="CI")
    row = ApiToken.get()
    assert re.fullmatch(r"stk_[0-9A-Za-z_-]{43}", token)
    assert token not in repr(row.__data__)
    assert token.startswith(row.prefix)
    assert len(row.prefix) == 10


def test_a_token_never_exceeds_its_user_nor_its_maker():
    customer, other = make_customer(), make_customer()
    viewer = make_user("customer_viewer", customer=customer)
    admin = make_user("customer_admin", customer=customer)
    create(of_user(admin), viewer, nodes=["finding.list"], customer_id=customer.id)
    for giver, user, nodes, place in (
            (access.COMMAND, viewer, ["group.write"], customer.id), (of_user(viewer), admin, ["group.write"], customer.id),
            (access.COMMAND, viewer, None, other.id), (of_user(viewer), make_user("msp_admin"), None, other.id),
            (access.COMMAND, viewer, ["*"], None)):
        with pytest.raises(Forbidden):
            create(giver, user, nodes=nodes, customer_id=place)


@pytest.mark.parametrize("days", [0, -1, 3651])
def test_the_life_of_a_token_has_bounds(days):
    with pytest.raises(BadRequest):
        create(access.COMMAND, make_user("msp_admin"), expires_days=days)


def test_a_token_for_a_node_that_does_not_exist_is_refused():
    with pytest.raises(BadRequest):
        create(access.COMMAND, make_user("msp_admin"), nodes=["no.such.node"])


def test_a_token_is_revoked_once_and_by_its_owner_alone_when_he_is_named():
    owner, other = make_user("msp_admin"), make_user("msp_admin")
    create(access.COMMAND, owner)
    token_id = ApiToken.get().id
    with pytest.raises(NotFound):
        tokens.revoke(token_id, actor="test", user_id=other.id)
    tokens.revoke(token_id, actor="test", user_id=owner.id)
    with pytest.raises(NotFound):
        tokens.revoke(token_id, actor="test")
    assert [row.revoked_at is not None for row in tokens.of_user(owner.id)] == [True]


def test_tokens_leave_a_trail_without_the_secret():
    token = create(access.COMMAND, make_user("msp_admin"), name="CI")
    tokens.revoke(ApiToken.get().id, actor="test")
    events = [event for event in AuditEvent.select().order_by(AuditEvent.id) if event.action.startswith("token.")]
    assert [event.action for event in events] == ["token.created", "token.revoked"]
    assert token not in repr([event.__data__ for event in events])


def test_a_user_with_grants_in_many_places_is_loaded_in_one_statement(statements):
    access.ensure_built_in_roles()
    user = add("many@example.test", actor="test", settings=SETTINGS)
    customers = [make_customer() for _ in range(5)]
    for customer in customers:
        give_role(user, "customer_viewer", customer)
        access.grant_node(access.COMMAND, user, "integration.read", customer.id, REGISTRY)
    with statements() as executed:
        principal = of_user(user)
    assert len(executed) == 1
    assert set(principal.by_customer) == {customer.id for customer in customers}


def test_who_is_limited_to_groups_somewhere_gives_everywhere_only_to_those_who_are_limited_there_too():
    customer, giver, other = make_customer(), make_user("msp_admin"), make_user()
    GroupLimit.create(customer_id=customer.id, user_id=giver.id, group_id="grp_x")
    with pytest.raises(Forbidden):
        access.grant_role(of_user(giver), other, "msp_analyst")
    GroupLimit.create(customer_id=customer.id, user_id=other.id, group_id="grp_x")
    access.grant_role(of_user(giver), other, "msp_analyst")
    assert of_user(other).holds("finding.list")
