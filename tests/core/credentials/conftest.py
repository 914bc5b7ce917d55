from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from core.access import service as access
from core.access.nodes import NodeRegistry
from core.tenancy.models import Customer
from tests.factories import make_customer, make_user, signed_in_client

VPN_FIELDS = [{"id": "login", "name": "Login", "required": True, "secure": False, "valueType": "plain_text"},
              {"id": "address", "name": "Address", "required": False, "secure": False, "valueType": "ip_address"},
              {"id": "password", "name": "Password", "required": True, "secure": True, "valueType": "password"},
              {"id": "seed", "name": "Seed", "required": False, "secure": True, "valueType": "generic_secret"}]


class Vault:
    """The credential routes, as one signed-in caller uses them."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def ask(self, method: str, rest: str, **how: Any) -> Any:
        return self.client.open("/v1/credential" + rest, method=method, **how)

    def data(self, method: str, rest: str, **how: Any) -> Any:
        answer = self.ask(method, rest, **how)
        assert answer.status_code < 300, answer.text
        return answer.get_json()["data"]

    def make_type(self, name: str = "VPN", scope: str = "vpn.credentials", fields: list[dict[str, Any]] | None = None) -> str:
        sent = {"name": name, "permissionScope": scope, "fields": VPN_FIELDS if fields is None else fields}
        return self.data("POST", "-type", json=sent)["id"]

    def make(self, type_id: str, customer: Customer, name: str = "Office", **values: str) -> str:
        given = [{"fieldId": field, "value": value} for field, value in {"login": "ada", "password": "s3cret", **values}.items()]
        return self.data("POST", "/credentials", json={"name": name, "typeId": type_id, "companyId": customer.id, "fields": given})["id"]

    def put(self, credential: str, **values: str | None) -> Any:
        return self.ask("PATCH", f"/credentials/{credential}", json={"fields": [{"fieldId": field, "value": value}
                                                                               for field, value in values.items()]})

    def plain(self, credential: str) -> dict[str, str | None]:
        return {field["id"]: field["value"] for field in self.data("GET", f"/credentials/{credential}")["fields"]}

    def secure(self, credential: str) -> dict[str, str]:
        return self.data("GET", f"/credentials/{credential}/secure-values")

    def history(self, credential: str) -> list[dict[str, Any]]:
        return self.data("GET", f"/credentials/{credential}/history")


@pytest.fixture
def vault(app: Flask) -> Vault:
    """As an administrator of the MSP."""
    return Vault(signed_in_client(app, "msp_admin"))


@pytest.fixture
def acme(app: Flask) -> Customer:
    return make_customer("Acme")


@pytest.fixture
def globex(app: Flask) -> Customer:
    return make_customer("Globex")


@pytest.fixture
def vault_of(app: Flask) -> Callable[..., Vault]:
    """``vault_of("credential.*", customer=acme)``: as somebody who holds these nodes, in a customer or everywhere."""

    def make(*nodes: str, customer: Customer | None = None) -> Vault:
        user = make_user()
        for node in nodes:
            access.grant_node(access.COMMAND, user, node, customer.id if customer else None, NodeRegistry())
        return Vault(signed_in_client(app, user=user))

    return make
