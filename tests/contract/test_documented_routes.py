"""The routes of the CVMS document that are built, and the status codes that it gives them."""

import pytest

from core.connections.models import Run
from tests.factories import make_customer, signed_in_client

#: method, address; further ones of the document come with the plugins that own them
DOCUMENTED = [
    ("GET", "/api/manage-assets"), ("GET", "/api/security-overview"), ("GET", "/api/dashboard/overview"),
    ("GET", "/api/dashboard/overview/sonar"), ("GET", "/api/dashboard/overview/sla"),
    ("GET", "/api/asset-groups"), ("PUT", "/api/asset-groups"), ("GET", "/api/customers"),
    ("POST", "/api/customers"), ("GET", "/api/customers/1"), ("PATCH", "/api/customers/1"), ("GET", "/api/customers/1/users"),
    ("POST", "/api/customers/1/users"), ("POST", "/api/integrations/sonarqube/validate"), ("POST", "/api/integrations/sonarqube/sync"),
]
ORGANIZATION_FROM_HEADER = ["/api/manage-assets"]
ORGANIZATION_FROM_EITHER = ["/api/security-overview"]
ORGANIZATION_FROM_SESSION = ["/api/dashboard/overview", "/api/dashboard/overview/sonar", "/api/dashboard/overview/sla", "/api/asset-groups"]
OTHERS = ["/api/findings", "/api/findings/1", "/api/runs", "/api/runs/1", "/api/plugins", "/api/integrations"]


@pytest.mark.parametrize(("method", "address"), DOCUMENTED + [("GET", address) for address in OTHERS]
                         + [("POST", "/api/runs/1/approve"), ("POST", "/api/runs/1/discard"), ("PUT", "/api/session/customer")])
def test_a_signed_out_request_is_401_with_an_error_string(client, method, address):
    answer = client.open(address, method=method, json=None if method == "GET" else {})
    assert (answer.status_code, answer.get_json()) == (401, {"error": "Unauthorized"})


@pytest.mark.parametrize("address", ["/api/auth/csrf", "/api/auth/session", "/api/auth/providers"])
def test_the_routes_of_next_auth_are_open(client, address):
    assert (client.get(address).status_code, client.get(address).is_json) == (200, True)


@pytest.mark.parametrize("address", ORGANIZATION_FROM_HEADER)
def test_the_header_is_required(app, address):
    customer, other = make_customer(), make_customer()
    for client in (signed_in_client(app, "msp_admin", active=customer), signed_in_client(app, "customer_viewer", customer=customer)):
        answer = client.get(address)
        assert (answer.status_code, answer.get_json()) == (400, {"error": "Missing x-customer-id header"})
        for header in ("x-customer-id", "x-pacci-customer-id"):
            assert client.get(address, headers={header: customer.id}).status_code == 200
    assert client.get(address, headers={"x-customer-id": other.id}).status_code == 403


@pytest.mark.parametrize("address", ORGANIZATION_FROM_EITHER)
def test_the_header_is_optional(app, address):
    customer, other = make_customer(), make_customer()
    portal, staff = signed_in_client(app, "customer_viewer", customer=customer), signed_in_client(app, "msp_admin")
    assert portal.get(address).status_code == 200
    assert portal.get(address, headers={"x-customer-id": other.id}).status_code == 403
    assert staff.get(address, headers={"x-customer-id": other.id}).status_code == 200
    answer = staff.get(address)
    assert (answer.status_code, "missing organization scope" in answer.get_json()["error"]) == (400, True)


@pytest.mark.parametrize("address", ORGANIZATION_FROM_SESSION)
def test_the_header_is_not_read(app, address):
    customer, other = make_customer(), make_customer()
    portal, staff = signed_in_client(app, "customer_viewer", customer=customer), signed_in_client(app, "msp_admin")
    assert portal.get(address, headers={"x-customer-id": other.id}).status_code == 200
    answer = staff.get(address, headers={"x-customer-id": customer.id})
    assert (answer.status_code, "no active organization" in answer.get_json()["error"]) == (400, True)
    staff.put("/api/session/customer", json={"customerId": customer.id})
    assert staff.get(address).status_code == 200


def test_a_sync_needs_an_active_organization_and_an_administrator(app):
    customer = make_customer()
    answer = signed_in_client(app, "msp_admin").post("/api/integrations/sonarqube/sync")
    assert (answer.status_code, "no active organization" in answer.get_json()["error"]) == (400, True)
    for role in ("msp_analyst", "customer_viewer"):
        client = signed_in_client(app, role, customer=customer, active=customer)
        assert client.post("/api/integrations/sonarqube/sync").status_code == 403
    assert Run.select().count() == 0
