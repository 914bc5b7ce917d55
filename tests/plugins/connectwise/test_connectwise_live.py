"""One company's data is asked for while somebody waits, and what is stored serves when ConnectWise does not answer."""

import pytest

from core.connections.models import Connection, Run
from plugins.connectwise import live
from plugins.connectwise.models import CwCompany
from tests.plugins.connectwise.syncs import configurations, links, removed, sync


@pytest.fixture
def acme(house, admin, connected) -> str:
    sync(house, admin)
    return CwCompany.get(CwCompany.cw_id == 1).customer_id


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(live, "READ_SECONDS", 0.2)


def of(admin, customer_id: str, more: str = "?includeAddress=true"):
    answer = admin.get(f"/v1/company/companies/{customer_id}{more}")
    assert answer.status_code == 200, answer.get_json()
    assert answer.headers.get("X-Data-Source") == answer.get_json()["data"]["source"]
    return answer.get_json()["data"]


def test_a_company_is_told_as_it_is_now_and_stored_so(admin, acme, world):
    before = CwCompany.get(CwCompany.cw_id == 1).fetched_at
    world.change(1, name="Acme Corporation", city="Oslo")
    told = of(admin, acme)
    assert (told["source"], told["name"], told["cw_Data"]["address"]["city"]) == ("live", "Acme Corporation", "Oslo")
    world.faults.add("status", status=503)
    again = of(admin, acme)
    assert (again["source"], again["name"], again["cw_Data"]["address"]["city"]) == ("stored", "Acme Corporation", "Oslo")
    assert (CwCompany.get(CwCompany.cw_id == 1).fetched_at >= before, again["asOf"] == told["asOf"]) == (True, True)


def test_configurations_are_told_as_they_are_now(admin, acme, world):
    world.add_configuration(13, "ACME-NEW", 1)
    world.configurations.pop(12)
    told = of(admin, acme, "/configurations")
    assert (told["source"], [row["name"] for row in told["configurations"]]) == ("live", ["ACME-FW", "ACME-NEW"])
    world.faults.add("html")
    told = of(admin, acme, "/configurations")
    assert (told["source"], [row["name"] for row in told["configurations"]]) == ("stored", ["ACME-FW", "ACME-NEW"])
    assert set(configurations()) == {"ACME-FW", "ACME-NEW", "BLUE-FW"}


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 401}, {"kind": "status", "status": 403}, {"kind": "status", "status": 500},
                                   {"kind": "status", "status": 429, "retry_after": "60"}, {"kind": "html"}, {"kind": "cut"},
                                   {"kind": "cut_json"}, {"kind": "slow", "seconds": 5}], ids=str)
def test_whatever_goes_wrong_what_is_stored_serves(admin, acme, world, hasty, fault):
    world.faults.add(**fault)
    told = of(admin, acme)
    assert (told["source"], told["name"], told["cw_Data"]["address"]["city"]) == ("stored", "Acme Corp", "Tromsø")
    assert removed() == {}


def test_after_a_failure_connectwise_is_left_alone_for_a_while(admin, acme, world):
    world.faults.add("status", status=503)
    of(admin, acme)
    world.calls.clear()
    world.faults.clear()
    for path in ("", "?includeAddress=true", "/configurations"):
        assert of(admin, acme, path)["source"] == "stored"
    assert world.calls.total() == 0


@pytest.mark.parametrize("happens", ["removed", "deleted"])
def test_a_company_that_is_gone_is_marked_and_told_from_what_is_stored(admin, acme, world, happens):
    if happens == "removed":
        world.remove(1)
    else:
        world.change(1, deletedFlag=True)
    told = of(admin, acme)
    assert (told["source"], told["removedAt"] is not None, links()[1]) == ("stored", True, "Acme Corp")
    world.calls.clear()
    of(admin, acme)
    assert world.calls.total() == 0


def test_without_a_connection_or_with_one_to_another_connectwise_nothing_is_asked(admin, acme, world):
    world.calls.clear()
    Connection.update(settings={**Connection.get().settings, "company": "sandbox"}).execute()
    assert of(admin, acme)["source"] == "stored"
    Run.delete().execute()
    assert admin.delete("/api/integrations/connectwise").status_code == 204
    assert of(admin, acme)["source"] == "stored"
    assert world.calls.total() == 0


def test_a_codebase_that_changed_is_found_again(house, admin, acme, world):
    of(admin, acme)
    world.faults.add("moved", path="companies", what="v2026_1", times=1)
    told = of(admin, acme)
    assert (told["source"], world.codebases) == ("live", {"v2026_1"})
    assert sync(house, admin)["state"] == "succeeded"
