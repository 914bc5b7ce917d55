"""The stand-in does as ConnectWise does: conditions, both paginations, chosen fields, limits, error bodies."""

import pytest
import requests

from plugins.connectwise.upstream import Throttle, World
from plugins.connectwise.upstream.conditions import NotUnderstood, read

ACME = {"id": 5, "name": "Acme [Oslo] AS", "deletedFlag": False, "numberOfEmployees": 48, "status": {"id": 1, "name": "Active"},
        "types": [{"id": 1, "name": "Customer"}, {"id": 14, "name": "Managed Security"}], "territory": None,
        "_info": {"lastUpdated": "2026-03-02T13:37:05Z"}}


@pytest.mark.parametrize("condition", [
    "", " ", "id=5", "id = 5 and deletedFlag = FALSE", "id != 4", "id<6", "id <= 5", "id>4", "id >= 5", 'name="acme [oslo] as"',
    "name='Acme [Oslo] AS'", 'name contains "oslo"', 'name not contains "bergen"', 'name like "Acme*"', 'name like "%AS"',
    'name like "acme [[]oslo]*"', 'name not like "B*"', "status/id in (1,2)", "status/id not in (3)", 'status/name="Active"',
    'types/name="Managed Security"', "types/id in (14)", "territory = null", "territory/name = null", "website = null", "id != null",
    "lastUpdated > [2026-03-01T00:00:00Z]", "lastUpdated <= [2026-03-02T13:37:05Z]", "_info/lastUpdated < [2027-01-01T00:00:00Z]",
    "(id=1 OR id=5) AND deletedFlag=false", "id=5 OR id=1 AND id=2", "numberOfEmployees > 47.5",
])
def test_conditions_that_let_a_record_through(condition):
    assert read(condition)(ACME)


@pytest.mark.parametrize("condition", [
    "id=4", "deletedFlag=true", "id=5 AND deletedFlag=true", '(id=1 OR id=2) AND name contains "acme"', 'name like "Oslo"',
    'types/name="Vendor"', "status/id in (2,3)", "territory != null", "lastUpdated > [2026-03-02T13:37:05Z]", "website > 5",
    'name not like "Acme*"', "status/id not in (1)",
])
def test_conditions_that_do_not(condition):
    assert not read(condition)(ACME)


@pytest.mark.parametrize("condition", [
    "id", "id=", "=5", "id==5", "id=5 AND", "(id=5", "id=5)", "id in 5", "id in ()", "id in (5", "name like 5", "name=Acme",
    'name="Acme', "id=5; drop", "lastUpdated > [yesterday]", "name is null", "id=5 id=6", "deletedFlag=5", 'id > "x"', "5=id",
])
def test_anything_else_is_refused(condition):
    with pytest.raises(NotUnderstood):
        read(condition)(ACME)


@pytest.fixture
def ask(world, url):
    """``ask("/company/companies", pageSize=2)``: an answer of the stand-in, asked with good keys."""
    public, private = world.admit()

    def asked(path: str, headers: dict[str, str] | None = None, auth: tuple[str, str] | None = None, **query: object) -> requests.Response:
        return requests.get(f"{url}/v4_6_release/apis/3.0{path}", params=query, auth=auth or (f"nordlys+{public}", private),
                            headers={"clientId": "x", **(headers or {})}, timeout=10)

    return asked


def ids(answer: requests.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def test_pages_by_number_lead_to_the_next_and_the_last(ask, world):
    world.add_company(4, "Delta"), world.add_company(5, "Echo")
    first, last = ask("/company/companies", pageSize=2, orderBy="id asc"), ask("/company/companies", pageSize=2, page=3, orderBy="id asc")
    assert (ids(first), set(first.links)) == ([1, 2], {"next", "last"})
    assert (ids(last), set(last.links)) == ([5], {"first", "prev"})
    assert ids(ask("/company/companies", pageSize=2, page=9)) == []
    assert "Link" not in ask("/company/companies").headers
    assert "cw-app-07.internal" in first.links["next"]["url"]  # which a client must not follow


def test_forward_only_goes_on_behind_an_id(ask):
    forward = {"pagination-type": "forward-only"}
    first = ask("/company/companies", forward, pageSize=2)
    assert (ids(first), "pageId=2" in first.links["next"]["url"]) == ([1, 2], True)
    assert ids(ask("/company/companies", forward, pageSize=2, pageId=2)) == [3]
    end = ask("/company/companies", forward, pageSize=2, pageId=3)
    assert (ids(end), end.headers["Link"]) == ([], '<>; rel="next"')
    assert ask("/company/companies", forward, orderBy="id asc").status_code == 400


def test_fields_are_chosen_and_info_comes_when_it_is_named(ask):
    [row] = ask("/company/companies", fields="id,status/name", conditions="id=1").json()
    assert row == {"id": 1, "status": {"name": "Active"}}
    [row] = ask("/company/companies", fields="id,_info/lastUpdated", conditions="id=1").json()
    assert set(row["_info"]) == {"lastUpdated"}


def test_counts_and_searches_take_the_same_conditions(ask, world, url):
    assert ask("/company/companies/count", conditions="id>1").json() == {"count": 2}
    public, private = world.admit()
    found = requests.post(f"{url}/v2025_1/apis/3.0/company/companies/search", json={"conditions": "id in (1,3)"}, params={"pageSize": 1},
                          auth=(f"nordlys+{public}", private), headers={"clientId": "x"}, timeout=10)
    assert ids(found) == [1]


@pytest.mark.parametrize(("asked", "status", "code"), [
    ({"path": "/company/companies", "auth": ("nordlys+x", "y")}, 401, "Unauthorized"),
    ({"path": "/company/companies", "headers": {"clientId": ""}}, 401, "ConnectWiseApi"),
    ({"path": "/company/companies/999"}, 404, "NotFound"), ({"path": "/time/entries"}, 404, "NotFound"),
    ({"path": "/company/companies", "pageSize": 1001}, 400, None), ({"path": "/company/companies", "conditions": "id="}, 400, None),
], ids=str)
def test_refusals_have_connectwise_s_body(ask, asked, status, code):
    answer = ask(**asked)
    assert (answer.status_code, set(answer.json()) >= {"code", "message", "errors"}) == (status, True)
    assert code in (None, answer.json()["code"])


def test_a_role_that_is_too_small_a_wrong_codebase_and_too_many_requests(world, url):
    public, private = world.admit(lacks=frozenset({"configurations"}))
    asking = {"auth": (f"nordlys+{public}", private), "headers": {"clientId": "x"}, "timeout": 10}
    assert requests.get(f"{url}/v4_6_release/apis/3.0/company/configurations", **asking).json()["code"] == "Security"
    assert requests.get(f"{url}/v2019_1/apis/3.0/company/companies", **asking).headers["Content-Type"].startswith("text/html")
    world.throttle = Throttle(1)
    requests.get(f"{url}/v4_6_release/apis/3.0/company/companies", **asking)
    answer = requests.get(f"{url}/v4_6_release/apis/3.0/company/companies", **asking)
    assert (answer.status_code, set(answer.json()), int(answer.headers["Retry-After"]) > 0) == (429, {"error", "message"}, True)


def test_the_demo_s_world_holds_more_than_one_page_and_what_is_odd():
    from plugins.connectwise.upstream import demo_world

    world = demo_world(1300)
    companies = world.companies.values()
    assert len(companies) > 1300
    assert any(row["deletedFlag"] for row in companies)
    assert any(row["country"] is None for row in companies)
    assert any("website" not in row for row in companies)
    assert any(len(row["types"]) > 1 for row in companies)
    assert demo_world(1300).companies == world.companies
    assert isinstance(world, World)
