"""The client alone, against the stand-in: where ConnectWise answers, what its refusals mean, both ways of paging, whole lists."""

import pytest
from flask import Flask

from core.hooks.failures import (
    AnswerInvalid,
    ConnectorError,
    LoginRejected,
    NotThere,
    OrganizationUnknown,
    PermissionMissing,
    PullIncomplete,
    SettingsInvalid,
    Unreachable,
    UpstreamUnavailable,
    WrongService,
)
from core.http.upstream import Upstream
from core.testing.standin import StandIn
from plugins.connectwise import client as client_module
from plugins.connectwise.client import ConnectWiseClient
from plugins.connectwise.connector import ConnectWiseConnector
from plugins.connectwise.settings import ConnectWiseSettings
from plugins.connectwise.upstream import World
from tests.plugins.connectwise.syncs import CLIENT_ID
from tests.servers import HURRIED


def maker(base: str, **kw: object) -> Upstream:
    return Upstream(base, HURRIED, **kw)


def settings(world: World, url: str, **more: object) -> dict:
    public, private = world.admit()
    return ConnectWiseSettings().load({"site": url, "company": "nordlys", "public_key": public, "private_key": private,
                                       "client_id": CLIENT_ID, **more})


@pytest.fixture
def client_of(world, url):
    """``client_of(paging="pages")``: a client with pages of two records."""
    return lambda size=2, **more: ConnectWiseClient(settings(world, url, **more), maker, page_size=size)


@pytest.fixture
def check(world, url):
    return lambda **more: ConnectWiseConnector().open(settings(world, url, **more), maker).check()


def keys(pages) -> list[int]:
    return [row["id"] for page in pages for row in page]


# -- check --------------------------------------------------------------------------------------------------------------------


def test_a_connection_that_works_tells_what_it_sees(check):
    result = check()
    assert result.message == "Connected to Nordlys IT Drift AS"
    assert result.facts == {"Version": "v2025.1.98765", "Companies": "3", "Configurations": "4"}
    assert "Configurations" not in check(configurations=False).facts


@pytest.mark.parametrize(("change", "reason"), [
    ({"company": "somebody"}, OrganizationUnknown), ({"private_key": "wrong"}, LoginRejected), ({"public_key": "wrong"}, LoginRejected),
    ({"conditions": "id=="}, SettingsInvalid), ({"site": "http://127.0.0.1:1"}, Unreachable),
], ids=str)
def test_what_is_wrong_is_told_precisely(check, change, reason):
    with pytest.raises(reason):
        check(**change)


@pytest.mark.parametrize(("fault", "reason"), [
    ({"kind": "html"}, UpstreamUnavailable), ({"kind": "status", "status": 503}, UpstreamUnavailable),
    ({"kind": "status", "status": 404, "path": "companyinfo"}, OrganizationUnknown),
    ({"kind": "status", "status": 404, "path": "info"}, LoginRejected),  # as the cloud's router answers wrong keys
    ({"kind": "status", "status": 403, "path": "companies"}, PermissionMissing),
    ({"kind": "cut_json", "path": "companyinfo"}, WrongService),
    ({"kind": "status", "status": 429, "retry_after": "3600"}, UpstreamUnavailable),
], ids=str)
def test_what_goes_wrong_is_told_precisely(check, world, fault, reason):
    world.faults.add(**fault)
    with pytest.raises(reason):
        check()


def test_an_unknown_client_id_is_a_login_that_is_rejected(check, world):
    world.client_ids = {"another"}
    with pytest.raises(LoginRejected):
        check()


@pytest.mark.parametrize("answer", ["<html>hello</html>", "[]", '{"CompanyName": "x"}', '{"Codebase": 5}', '{"Codebase": "../../admin/"}'])
def test_something_else_at_the_address_is_named(answer, world):
    app = Flask("other")
    app.add_url_rule("/<path:path>", "all", lambda path: (answer, 200, {"Content-Type": "application/json"}))
    with StandIn(app) as other, pytest.raises(WrongService):
        ConnectWiseConnector().open(settings(world, other.url), maker).check()


def test_a_site_that_is_none_is_named():
    with pytest.raises(SettingsInvalid):
        ConnectWiseClient({"site": "ftp://x", "company": "c"}, maker)


def test_the_secret_is_in_no_message(check, world):
    world.faults.add("status", status=500)
    private = "prv-canary-4711"
    with pytest.raises(ConnectorError) as problem:
        check(private_key=private)
    assert private not in str(problem.value)


# -- where it answers -----------------------------------------------------------------------------------------------------------


def test_a_codebase_that_changes_under_way_is_found_again(client_of, world):
    client = client_of()
    assert client.count_companies() == 3
    world.codebase, world.codebases = "v2026_1", {"v2026_1"}
    assert client.count_companies() == 3
    assert world.calls["companyinfo"] == 1
    assert client_of().count_companies() == 3  # another client, which knows by now
    assert world.calls["companyinfo"] == 1


def test_a_record_that_is_not_there_costs_one_look_not_one_each_time(client_of, world):
    client = client_of()
    for _ in range(3):
        with pytest.raises(NotThere):
            client.company(999)
    assert (world.calls["companyinfo"], world.calls["companies"]) == (1, 4)  # the first one twice, since the codebase was new


@pytest.mark.parametrize(("site", "told", "api"), [
    ("eu.myconnectwise.net", "api-eu2.myconnectwise.net", "https://api-eu2.myconnectwise.net"),
    ("eu.myconnectwise.net", "evil.example", "https://api-eu.myconnectwise.net"),
    ("eu.myconnectwise.net", None, "https://api-eu.myconnectwise.net"),
    ("cw.example.org", "api-eu.myconnectwise.net", "https://cw.example.org"),  # of one's own: it stays where it was put
])
def test_keys_go_to_no_host_that_an_answer_without_credentials_names(monkeypatch, site, told, api):
    class Answers:
        def get(self, path):
            return {"Codebase": "v2025_1/", "SiteUrl": told}

    client_module._places.clear()
    client = ConnectWiseClient({"site": site, "company": "nordlys"}, lambda base, **kw: Answers())
    client.company_info()
    assert client._place() == (api, "v2025_1/")
    client_module._places.clear()


# -- lists ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("paging", ["forward-only", "pages"])
@pytest.mark.parametrize("fault", [None, "no_link", "insert"])
def test_every_company_comes_once_whichever_way_is_paged(client_of, world, paging, fault):
    for key in range(4, 9):
        world.add_company(key, f"Company {key}")
    if fault:
        world.faults.add(fault, path="companies", after=1, times=2)
    came = keys(client_of(paging=paging).companies())
    assert came[:8] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len(came) == len(set(came))


def test_a_server_that_pages_by_number_whatever_is_asked_is_followed(client_of, world):
    for key in range(4, 9):
        world.add_company(key, f"Company {key}")
    world.faults.add("ignores_forward_only")
    assert sorted(set(keys(client_of().companies()))) == [1, 2, 3, 4, 5, 6, 7, 8]


@pytest.mark.parametrize("paging", ["forward-only", "pages"])
def test_pages_that_lead_back_end_in_an_error_not_in_a_circle(client_of, world, paging):
    world.faults.add("loop", path="companies")
    with pytest.raises(AnswerInvalid):
        keys(client_of(paging=paging).companies())


@pytest.mark.parametrize("paging", ["forward-only", "pages"])
def test_a_list_with_less_than_was_counted_is_incomplete(client_of, world, paging):
    world.faults.add("lost_rows", path="companies", after=1)
    with pytest.raises(PullIncomplete):
        keys(client_of(paging=paging).companies())


def test_a_company_that_goes_while_pages_are_read_is_no_failure(client_of, world):
    world.faults.add("vanish", path="companies", after=1, times=1, what="3")
    assert keys(client_of().companies()) == [1, 2]


def test_companies_are_asked_for_by_id_in_batches(client_of, world, monkeypatch):
    monkeypatch.setattr(client_module, "_IDS_AT_ONCE", 2)
    world.change(2, deletedFlag=True)
    assert [row["id"] for row in client_of().companies_by_id([1, 2, 3, 99])] == [1, 2, 3]
    assert world.calls["companies"] == 2


def test_what_the_settings_cover(client_of, world):
    world.change(2, leadFlag=True)
    client = client_of()
    assert [client.covers(key) for key in (1, 2, 3, 99)] == [True, False, True, False]
    assert keys(client.companies()) == [1, 3]
    assert keys(client.configurations_of(1)) == [11, 12]


def test_what_should_not_leave_connectwise_is_not_asked_for(client_of):
    [page] = client_of(size=100).configurations()
    assert not any({"notes", "vendorNotes", "questions", "lastLoginName"} & row.keys() for row in page)


# -- callbacks --------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [
    "https://evil.example/v4_6_release/apis/3.0/system/callbacks/1/keys/9", "{url}/v4_6_release/apis/3.0/company/companies/1",
    "{url}/system/callbacks/1/keys/9/../../../../company/companies", "{url}/system/callbacks/1/keys/9?x=1#/y", "http://[", "", "9",
])
def test_a_key_is_fetched_from_this_connectwise_alone(client_of, world, url, address):
    if address.endswith("#/y"):  # ours, with something behind that is not sent
        with pytest.raises(NotThere):
            client_of().signing_key(address.format(url=url))
        return
    with pytest.raises(LoginRejected):
        client_of().signing_key(address.format(url=url))
    assert sum(world.calls.values()) == 0
