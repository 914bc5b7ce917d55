"""The union: every asset once, whatever groups hold it, and nothing of anybody else. Proven against plain Python."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from core.assets.models import Asset, AssetGroup, GroupMember
from core.hooks.contracts import Discipline
from core.overview import kernel
from core.scope import Scope

CUSTOMERS, GROUPS, ASSETS = ("acme", "globex"), 5, 8

worlds = some.fixed_dictionaries({
    "groups": some.lists(some.sampled_from([None, *CUSTOMERS]), min_size=GROUPS, max_size=GROUPS),
    "assets": some.lists(some.tuples(some.sampled_from(CUSTOMERS), some.sampled_from(list(Discipline)), some.sampled_from(["a", "b"]),
                                     some.integers(0, 9), some.integers(0, 9), some.booleans()), min_size=ASSETS, max_size=ASSETS),
    "members": some.sets(some.tuples(some.integers(0, GROUPS - 1), some.integers(0, ASSETS - 1))),
    "limit": some.none() | some.frozensets(some.sampled_from([f"g{number}" for number in range(GROUPS)])),
    "hidden": some.frozensets(some.sampled_from(["a", "b"]), max_size=1),
})


def store(world):
    for table in (GroupMember, Asset, AssetGroup):
        table.delete().execute()
    for number, owner in enumerate(world["groups"]):
        AssetGroup.create(id=f"g{number}", customer_id=owner, name=f"g{number}", created_at=1, updated_at=1)
    for number, (owner, discipline, source, critical, low, pruned) in enumerate(world["assets"]):
        Asset.create(id=f"a{number}", customer_id=owner, connection_id="c", source=source, kind="k", discipline=discipline,
                     external_key=f"a{number}", name=f"a{number}", open_critical=critical, open_low=low, findings_total=critical + low + 1,
                     findings_remediated=1, discovered_at=1, pruned_at=1 if pruned else None)
    for group, asset in world["members"]:
        GroupMember.create(customer_id=world["assets"][asset][0], group=f"g{group}", asset=f"a{asset}", added_at=1)


def visible(world, scope):
    """Assets of the scope by visible group, in plain Python."""
    members = {}
    for group, asset in world["members"]:
        owner, _, source, *_, pruned = world["assets"][asset]
        group_is_visible = (world["groups"][group] in (None, scope.customer_id)
                            and (scope.group_ids is None or f"g{group}" in scope.group_ids))
        if group_is_visible and owner == scope.customer_id and not pruned and source not in scope.hidden_sources:
            members.setdefault(f"g{group}", set()).add(asset)
    return members


@given(worlds)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_union_counts_every_visible_asset_once(database, world):
    store(world)
    for customer in CUSTOMERS:
        scope = Scope(customer, world["limit"], world["hidden"])
        by_group = visible(world, scope)
        union, rows = kernel.union(scope), kernel.per_group(scope)
        for discipline in Discipline:
            mine = {asset for members in by_group.values() for asset in members if world["assets"][asset][1] == discipline}
            totals = union.of(discipline)
            assert totals.assets == len(mine)
            assert totals.critical == sum(world["assets"][asset][3] for asset in mine)
            assert totals.total == sum(sum(world["assets"][asset][3:5]) for asset in mine)
            summed = sum(row.total for (_, of), row in rows.items() if of == discipline)
            assert totals.total <= summed
            held = [asset for members in by_group.values() for asset in members if world["assets"][asset][1] == discipline]
            if len(held) == len(mine):
                assert totals.total == summed
        assert {asset.id for asset in kernel.visible_assets(scope)} == {f"a{asset}" for members in by_group.values() for asset in members}
