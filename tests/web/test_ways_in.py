"""Who gets which page: the way to sign in, the choice of a customer, refusals as pages."""

from typing import Any

from flask import Flask

from core.assets.models import AssetGroup
from tests.factories import give_role, make_customer, make_user, signed_in_client

HTML = {"Accept": "text/html"}


def test_a_visitor_is_sent_to_sign_in_with_the_address_he_wanted(app: Flask) -> None:
    answer = app.test_client().get("/findings?severity=high", headers=HTML)
    assert answer.status_code == 302
    assert answer.location == "/signin?callbackUrl=http%3A%2F%2Flocalhost%2Ffindings%3Fseverity%3Dhigh"


def test_a_form_sent_after_the_session_ended_leads_back_to_the_start(app: Flask) -> None:
    answer = app.test_client().post("/integrations/sonarqube", headers=HTML)
    assert answer.status_code == 302
    assert answer.location == "/signin?callbackUrl=http%3A%2F%2Flocalhost%2F"


def test_who_is_signed_in_already_does_not_see_the_form_again(app: Flask) -> None:
    client = signed_in_client(app, "customer_viewer", customer=make_customer())
    assert client.get("/signin?callbackUrl=/findings").location == "http://localhost/findings"
    assert client.get("/signin?callbackUrl=https://evil.example/").location == "http://localhost/"


def test_msp_staff_without_a_customer_are_asked_for_one_in_place_of_every_page(app: Flask) -> None:
    customer, disabled = make_customer("Meridian"), make_customer("Closed", active=False)
    client = signed_in_client(app, "msp_admin")
    for path in ("/", "/findings", "/integrations", "/integrations/sonarqube"):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == 200
        assert "Choose a customer" in answer.text
        assert customer.name in answer.text
        assert disabled.name not in answer.text
        assert f'name="next" value="{path}"' in answer.text


def test_somebody_of_several_customers_is_asked_too_and_sees_only_those(app: Flask) -> None:
    one, two, other = make_customer("One"), make_customer("Two"), make_customer("Other")
    user = make_user("customer_viewer", customer=one)
    give_role(user, "customer_viewer", two)
    answer = signed_in_client(app, user=user).get("/", headers=HTML)
    assert "Choose a customer" in answer.text
    assert one.name in answer.text
    assert two.name in answer.text
    assert other.name not in answer.text


def test_picking_leads_on_but_never_elsewhere(app: Flask) -> None:
    customer = make_customer()
    client = signed_in_client(app, "msp_admin")
    assert client.post("/customers", data={"customerId": customer.id, "next": "/integrations"}).location == "http://localhost/integrations"
    assert client.post("/customers", data={"customerId": customer.id, "next": "//evil.example/"}).location == "http://localhost/evil.example/"
    assert client.post("/customers", data={"customerId": customer.id, "next": "https://evil.example/"}).location == "http://localhost/"


def test_a_customer_that_is_not_ones_own_cannot_be_picked(app: Flask) -> None:
    client = signed_in_client(app, "customer_viewer", customer=make_customer())
    assert client.post("/customers", data={"customerId": make_customer().id}, headers=HTML).status_code == 403


def test_a_form_of_another_site_changes_nothing(app: Flask) -> None:
    customer = make_customer()
    client = signed_in_client(app, "msp_admin", active=customer)
    forged = {**HTML, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for path in ("/customers", "/integrations/sonarqube", "/integrations/sonarqube/remove", "/integrations/sonarqube/sync"):
        assert client.post(path, headers=forged, data={"customerId": customer.id}).status_code == 403


def test_refusals_are_pages_with_the_navigation_of_whoever_is_signed_in(app: Flask) -> None:
    client = signed_in_client(app, "customer_viewer", customer=make_customer("Meridian"))
    for path, status in (("/integrations", 403), ("/nothing-here", 404), ("/findings/fnd_nothing", 404), ("/findings?cursor=odd", 400)):
        answer = client.get(path, headers=HTML)
        assert answer.status_code == status, path
        assert "Meridian" in answer.text, path
        assert "Back to the overview" in answer.text, path


def test_a_fault_of_ours_is_a_page_that_tells_nothing_of_the_inside(app: Flask) -> None:
    answer = signed_in_client(app, "customer_viewer", customer=make_customer("Meridian")).get("/broken", headers=HTML)
    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.text
    assert "ZeroDivisionError" not in answer.text
    assert "Meridian" not in answer.text, "nothing is asked of a database that may be the fault"


def test_programs_get_their_json_on_the_surfaces_whatever_the_pages_do(app: Flask) -> None:
    assert app.test_client().get("/api/findings", headers=HTML).get_json() == {"error": "Unauthorized"}


def test_with_the_pages_switched_off_there_is_only_plain_text(app: Flask) -> None:
    client = signed_in_client(app, "customer_viewer", customer=make_customer())
    app.extensions["stockade"].plugins.disable("web", actor="test")
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, answer.mimetype) == (404, "text/plain")
    assert client.get("/static/web.css").status_code == 404


def test_analysts_cannot_change_an_integration(app: Flask) -> None:
    client = signed_in_client(app, "msp_analyst", active=make_customer())
    for path in ("", "/validate", "/remove", "/sync", "/runs/run_x/approve", "/runs/run_x/discard"):
        assert client.post(f"/integrations/sonarqube{path}", headers=HTML).status_code == 403, path
    assert client.get("/integrations/sonarqube", headers=HTML).status_code == 200


def test_a_source_that_no_plugin_offers_is_not_there(app: Flask) -> None:
    client = signed_in_client(app, "msp_admin", active=make_customer())
    assert client.get("/integrations/nothing", headers=HTML).status_code == 404


def test_a_customer_with_markup_in_its_name_is_only_text(app: Flask) -> None:
    client = signed_in_client(app, "msp_admin", active=make_customer("<script>alert(1)</script>"))
    for path in ("/", "/customers", "/integrations"):
        text = client.get(path, headers=HTML).text
        assert "<script>alert" not in text, path
        assert "&lt;script&gt;alert" in text, path


def test_the_overview_page_costs_as_many_statements_however_many_groups_there_are(app: Flask, statements: Any) -> None:
    customer = make_customer()
    client = signed_in_client(app, "msp_admin", active=customer)
    client.get("/", headers=HTML)
    with statements() as with_none:
        client.get("/", headers=HTML)
    for number in range(20):
        AssetGroup.create(id=f"grp_{number}", customer_id=customer.id, name=f"Group {number}", created_at=1, updated_at=1)
    with statements() as with_many:
        assert client.get("/", headers=HTML).status_code == 200
    assert len(with_many) == len(with_none) <= 16, with_many
