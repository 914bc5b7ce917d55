"""Asset groups: what a replace changes, what it leaves alone, and what belongs to somebody else."""

import pytest

from core import clock
from core.assets import groups
from core.assets.groups import GroupDraft, ReplaceMode
from core.assets.models import Asset, AssetGroup, GroupMember
from core.errors import BadRequest, Forbidden
from core.ids import new_id
from core.scope import Scope
from tests import syncing


def asset(scope, name, kind="scripted_project", discipline="appsec", **columns):
    return Asset.create(id=new_id("ast"), customer_id=scope.customer_id, connection_id="con", source="scripted", kind=kind,
                        discipline=discipline, external_key=name, name=name, discovered_at=1, **columns).id


def group(scope, name, *asset_ids, members_of=None):
    row = AssetGroup.create(id=new_id("grp"), customer_id=scope and scope.customer_id, name=name, created_at=1, updated_at=1)
    for asset_id in asset_ids:
        GroupMember.create(customer_id=(members_of or scope).customer_id, group=row.id, asset=asset_id, added_at=1)
    return row.id


def shown(scope):
    return {entry.row.name: [member.name for member in entry.members] for entry in groups.listing(scope)}


def replace(scope, drafts, mode=ReplaceMode.ALL, *, shared=False):
    groups.replace(scope, drafts, mode, may_change_shared=shared, actor="anna")


@pytest.fixture
def acme(database):
    return syncing.customer("Acme")


@pytest.fixture
def globex(database):
    return syncing.customer("Globex")


def test_groups_show_those_that_all_share_and_ones_own_with_ones_own_assets_only(acme, globex):
    shared = group(None, "Crown jewels", asset(acme, "shop"), members_of=acme)
    GroupMember.create(customer_id=globex.customer_id, group=shared, asset=asset(globex, "their-shop"), added_at=1)
    group(globex, "Theirs", asset(globex, "their-api"))
    group(acme, "Ours", asset(acme, "api"))
    assert shown(acme) == {"Crown jewels": ["shop"], "Ours": ["api"]}
    assert shown(globex) == {"Crown jewels": ["their-shop"], "Theirs": ["their-api"]}


def test_replacing_all_removes_what_is_left_out_and_makes_what_is_new(acme):
    shop, api = asset(acme, "shop"), asset(acme, "api")
    kept, _ = group(acme, "Kept", shop), group(acme, "Dropped", shop)
    replace(acme, [GroupDraft("Kept and renamed", (api,), id=kept), GroupDraft("New", (shop, api))])
    assert shown(acme) == {"Kept and renamed": ["api"], "New": ["api", "shop"]}


def test_a_customer_admin_changes_own_groups_only_and_shared_ones_are_not_made_anew(acme):
    shop = asset(acme, "shop")
    shared = group(None, "Crown jewels", shop, members_of=acme)
    group(acme, "Ours", shop)
    sent_back = [GroupDraft("Crown jewels", (), id=shared, shared=True), GroupDraft("crown JEWELS", (shop,)), GroupDraft("Mine", (shop,)),
                 GroupDraft("Everybody's", (shop,), shared=True)]
    replace(acme, sent_back)
    assert shown(acme) == {"Crown jewels": ["shop"], "Mine": ["shop"]}
    assert AssetGroup.select().where(AssetGroup.customer_id.is_null()).count() == 1


def test_msp_staff_change_shared_groups_for_the_active_customer_alone(acme, globex):
    ours, theirs = asset(acme, "shop"), asset(globex, "their-shop")
    shared = group(None, "Crown jewels", ours, members_of=acme)
    GroupMember.create(customer_id=globex.customer_id, group=shared, asset=theirs, added_at=1)
    replace(acme, [GroupDraft("Everybody's", (ours,), shared=True)], shared=True)
    assert shown(acme) == {"Crown jewels": [], "Everybody's": ["shop"]}  # still in use elsewhere, so it is emptied and not removed
    assert shown(globex)["Crown jewels"] == ["their-shop"]


@pytest.mark.parametrize(("mode", "family"), [(ReplaceMode.VAULT_FOLDERS, "vault_folder"),
                                              (ReplaceMode.DAST_ENVIRONMENTS, "dast_environment")])
def test_a_narrow_mode_replaces_its_family_and_removes_no_group(acme, mode, family):
    code, old, new = asset(acme, "shop"), asset(acme, "old", family), asset(acme, "new", family)
    ours = group(acme, "Ours", code, old)
    group(acme, "Left out", old)
    replace(acme, [GroupDraft("Another name", (new, code), id=ours)], mode)
    assert shown(acme) == {"Ours": ["new", "shop"], "Left out": ["old"]}
    replace(acme, [GroupDraft("Ours", (), id=ours)], mode)
    assert shown(acme) == {"Ours": ["shop"], "Left out": ["old"]}


def test_assets_and_groups_of_another_customer_are_refused_and_nothing_changes(acme, globex):
    ours = group(acme, "Ours", asset(acme, "shop"))
    theirs, their_asset = group(globex, "Theirs"), asset(globex, "their-shop")
    for drafts in ([GroupDraft("Stolen", (), id=theirs)], [GroupDraft("Ours", (their_asset,), id=ours)]):
        with pytest.raises(BadRequest):
            replace(acme, drafts, shared=True)
    assert shown(acme) == {"Ours": ["shop"]}
    assert shown(globex) == {"Theirs": []}


def test_a_group_or_a_name_given_twice_is_refused(acme):
    ours = group(acme, "Ours")
    for drafts in ([GroupDraft("A", (), id=ours), GroupDraft("B", (), id=ours)], [GroupDraft("Same", ()), GroupDraft("SAME", ())]):
        with pytest.raises(BadRequest):
            replace(acme, drafts)
    assert shown(acme) == {"Ours": []}


def test_a_user_limited_to_some_groups_sees_these_and_replaces_none(acme):
    ours = group(acme, "Ours", asset(acme, "shop"))
    group(acme, "Hidden", asset(acme, "api"))
    limited = Scope(acme.customer_id, frozenset({ours}))
    assert shown(limited) == {"Ours": ["shop"]}
    with pytest.raises(Forbidden):
        replace(limited, [])


def test_pruned_assets_and_sources_that_are_off_keep_their_place_through_a_replace(acme):
    shop, gone = asset(acme, "shop"), asset(acme, "gone", pruned_at=clock.now())
    ours = group(acme, "Ours", shop, gone)
    replace(acme, [GroupDraft("Ours", (shop,), id=ours)])
    assert shown(acme) == {"Ours": ["shop"]}
    Asset.update(pruned_at=None).execute()
    assert shown(acme) == {"Ours": ["gone", "shop"]}
    off = Scope(acme.customer_id, hidden_sources=frozenset({"scripted"}))
    replace(off, [GroupDraft("Ours", (), id=ours)])
    assert shown(acme) == {"Ours": ["gone", "shop"]}
