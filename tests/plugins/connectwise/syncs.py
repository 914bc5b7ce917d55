"""Short words for syncs of a ConnectWise stand-in."""

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from core.connections import engine
from core.tenancy.models import Customer
from plugins.connectwise.models import CwCompany, CwConfiguration
from plugins.connectwise.upstream import World

ADDRESS = "/api/integrations/connectwise"
CLIENT_ID = "00000000-0000-4000-8000-000000000000"


def settings_of(world: World, url: str, **more: Any) -> dict[str, Any]:
    """The form filled in for a stand-in with this world, as it is sent."""
    if not world.members:
        world.admit()
    public, member = next(iter(world.members.items()))
    private = member.private_key
    return {"site": url, "company": "Nordlys", "publicKey": public, "privateKey": private, "clientId": CLIENT_ID, **more}


def sync(house: Flask, admin: FlaskClient) -> dict[str, Any]:
    """One run from its request to its end, in this process; the run as the API tells it."""
    started = admin.post(f"{ADDRESS}/sync")
    assert started.status_code == 202, started.get_json()
    return finished(house, admin, started.get_json()["run"]["id"])


def finished(house: Flask, admin: FlaskClient, run_id: str) -> dict[str, Any]:
    engine.execute(house.extensions["stockade"], run_id)
    return admin.get(f"{ADDRESS}/runs/{run_id}").get_json()


def links() -> dict[int, str | None]:
    """The name of each company's customer by the company's id; None for one that is nobody's."""
    names = dict(Customer.select(Customer.id, Customer.name).tuples())
    return {row.cw_id: names.get(row.customer_id) for row in CwCompany.select().order_by(CwCompany.cw_id)}


def reviews() -> dict[int, str]:
    return {row.cw_id: row.review for row in CwCompany.select().where(CwCompany.review != "")}


def removed() -> dict[int, str]:
    return {row.cw_id: row.removed_why for row in CwCompany.select().where(CwCompany.removed_at.is_null(False))}


def configurations() -> dict[str, str]:
    """The names of the customers by those of their configurations, as far as these are there."""
    names = dict(Customer.select(Customer.id, Customer.name).tuples())
    return {row.name: names[row.customer_id] for row in CwConfiguration.select().where(CwConfiguration.removed_at.is_null())}
