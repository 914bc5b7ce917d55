"""Every listing of the ``/v1`` surface takes as many statements for fifty of a thing as for five."""

import pytest

from core.access import roles
from core.access import service as access
from core.access.nodes import NodeRegistry
from core.access.users import create_service_account
from plugins.connectwise.models import CwCompany, CwConfiguration
from tests.factories import make_customer, make_token, make_user, signed_in_client

FIELDS = [{"id": "login", "name": "Login"}, {"id": "password", "name": "Password", "secure": True}]
LISTINGS = ["/v1/user/users", "/v1/user/service-accounts", "/v1/user/@me/tokens", "/v1/user/users/{user}/tokens",
            "/v1/user/users/{user}/roles", "/v1/user/users/{user}/permissions",
            "/v1/role", "/v1/role/{role}/users", "/v1/permissions", "/v1/permissions/nodes",
            "/v1/credential/credentials?rpp=100", "/v1/credential/credentials?search=o",
            "/v1/credential/credentials/company/{company}",
            "/v1/credential/credentials/{credential}/history", "/v1/credential/credentials/{credential}/fields", "/v1/credential-type",
            "/v1/credential-type/{type}", "/v1/credential-type/{type}/credentials", "/v1/audit?rpp=100", "/v1/audit?action=role.*",
            "/v1/company/companies?rpp=100", "/v1/company/companies?search=company&rpp=100", "/v1/company/review",
            "/v1/company/companies/{company}/configurations"]


class Crowd:
    """A deployment with more and more of everything, and two who look at it: one who holds everything, and one in each customer."""

    def __init__(self, house):
        self.house, self.number = house, 0
        self.admin = signed_in_client(house, "msp_admin", user=make_user("msp_admin", email="admin@example.test"))
        self.portal_user = make_user(email="portal@example.test")
        self.portal = signed_in_client(house, user=self.portal_user)
        self.user = make_user("msp_analyst")
        self.role = roles.create(access.COMMAND, title="Role", moniker="role", permissions=["asset.list"], registry=NodeRegistry())
        self.type = self.made("/v1/credential-type", name="VPN", permissionScope="vpn.credentials", fields=FIELDS)["id"]
        self.company = make_customer("Company")
        self.give(self.company)
        CwCompany.create(customer_id=self.company.id, **self.company_facts("Company", 1))
        self.credential = self.keep(self.company, self.type)

    def made(self, address, **body):
        answer = self.admin.post(address, json=body)
        assert answer.status_code == 201, answer.get_json()
        return answer.get_json()["data"]

    def give(self, customer):
        access.grant_role(access.COMMAND, self.portal_user, "customer_admin", customer.id)
        for node in ("credential.*", "credential_type.*", "audit.read", "company.*"):
            access.grant_node(access.COMMAND, self.portal_user, node, customer.id, self.registry)

    @property
    def registry(self):
        return NodeRegistry(self.house.extensions["stockade"].plugins.permission_nodes)

    def keep(self, customer, type_id):
        given = [{"fieldId": "login", "value": "ada"}, {"fieldId": "password", "value": "secret"}]
        return self.made("/v1/credential/credentials", name="Office", typeId=type_id, companyId=customer.id, fields=given)["id"]

    @staticmethod
    def company_facts(name, number):
        return {"id": f"cwc_{number}", "tenant": "nordlys", "cw_id": number, "identifier": name, "identifier_key": name.lower(),
                "name": name, "name_key": name.lower(), "data": {}, "digest": "", "fetched_at": 1}

    def grow(self, until):
        while self.number < until:
            self.number += 1
            name = f"Company {self.number}"
            customer = make_customer(name)
            self.give(customer)
            user = make_user("msp_analyst")
            access.grant_role(access.COMMAND, user, self.role.moniker, customer.id)
            access.grant_role(access.COMMAND, self.user, self.role.moniker, customer.id)
            access.grant_node(access.COMMAND, self.user, "asset.list", customer.id, NodeRegistry())
            roles.create(access.COMMAND, title=name, moniker=f"role.{self.number}", permissions=["asset.list"], registry=NodeRegistry())
            create_service_account(access.COMMAND, {"login": f"robot{self.number}", "name": "", "roles": ["customer_viewer"],
                                                    "company_id": customer.id})
            for owner in (self.user, self.portal_user):
                make_token(owner, customer_id=customer.id)
            type_id = self.made("/v1/credential-type", name=f"Type {self.number}", permissionScope=f"scope{self.number}",
                                fields=FIELDS)["id"]
            for place, of_type in ((customer, self.type), (customer, type_id), (self.company, self.type)):
                self.keep(place, of_type)
            self.admin.patch(f"/v1/credential/credentials/{self.credential}",
                             json={"fields": [{"fieldId": "login", "value": f"ada{self.number % 15}"}]})
            CwCompany.create(customer_id=customer.id, **self.company_facts(name, 1000 + self.number))
            CwCompany.create(review="similar", candidates=[customer.id], **self.company_facts(f"Other {self.number}", 2000 + self.number))
            CwConfiguration.create(customer_id=self.company.id, tenant="nordlys", cw_id=self.number, company_cw_id=1, name=name, data={},
                                   digest="", fetched_at=1)

    def address(self, listing):
        return listing.format(user=self.user.id, role=self.role.id, company=self.company.id, credential=self.credential, type=self.type)


@pytest.fixture
def crowd(house):
    return Crowd(house)


def test_no_listing_takes_more_statements_when_there_are_more_rows(crowd, statements):
    counted = {}
    for number in (5, 50):
        crowd.grow(number)
        for who in ("admin", "portal"):
            for listing in LISTINGS:
                with statements() as executed:
                    answer = getattr(crowd, who).get(crowd.address(listing))
                assert answer.status_code == 200 or (who == "portal" and answer.status_code in (403, 404)), (who, listing, answer.text)
                counted.setdefault((who, listing), []).append(len(executed))
    assert {what: numbers for what, numbers in counted.items() if numbers[0] != numbers[1]} == {}
