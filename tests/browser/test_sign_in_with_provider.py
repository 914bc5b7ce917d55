"""Coming in with a provider: its button, its page, and back; and the window that a client opens and that closes itself."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from core import db
from core.access import service as access
from core.app import create_app
from core.signin import identities
from core.testing.openid import World
from core.testing.openid import create_app as create_provider
from core.testing.standin import StandIn
from tests.core.signin.world import know, new_world, settings_for
from tests.factories import PASSWORD, make_customer, make_user

#: a client in a page: it asks for an address, waits on a WebSocket, and opens the address in a window of its own
CLIENT = """async () => {
  const asked = (await (await fetch("/v1/auth/uri")).json()).data;
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/v1/auth/callback?callbackKey=" + asked.callbackKey);
  window.told = new Promise((resolve) => { socket.onmessage = (event) => resolve(JSON.parse(event.data)); });
  const button = document.createElement("button");
  button.textContent = "Open the window";
  button.onclick = () => { window.open(asked.uri); };
  document.body.prepend(button);
}"""


@dataclass
class Entrance:
    url: str
    provider: str
    world: World
    complaints: list[str]


@pytest.fixture
def entrance(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Entrance]:
    url = f"sqlite:///{shutil.copyfile(migrated_sqlite, tmp_path / 'stockade.sqlite3')}"
    configured = db.configure(url)
    access.ensure_built_in_roles()
    world = new_world()
    with StandIn(create_provider(world)) as provider:
        app = create_app(replace(settings_for(provider.url), database_url=url))
        with StandIn(app) as web:
            world.app.redirect_uris = (f"{web.url}/api/auth/callback/microsoft", f"{web.url}/v1/auth/redirect")
            know(make_user("customer_viewer", customer=make_customer("Contoso")), world, provider.url, "kari")
            found = Entrance(web.url, provider.url, world, [])
            yield found
            # The server of the tests sends an answer after a socket's last frame, which gunicorn does not.
            assert [said for said in found.complaints if "Invalid frame header" not in said] == []
    configured.close_all()


@pytest.fixture
def opened(browser: Browser, entrance: Entrance) -> Iterator[Callable[..., Page]]:
    contexts: list[BrowserContext] = []

    def open_one(**options: object) -> Page:
        context = browser.new_context(**options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        context.on("console", lambda message: entrance.complaints.append(message.text) if message.type == "error" else None)
        contexts.append(context)
        return context.new_page()

    yield open_one
    for context in contexts:
        context.close()


def pick(page: Page, name: str) -> None:
    page.get_by_role("button", name=name).click()


@pytest.mark.parametrize("options", [
    {}, {"java_script_enabled": False}, {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"}],
    ids=["desk", "without a script", "telephone"])
def test_the_button_leads_there_and_back_to_where_one_wanted_to_go(opened, entrance, options):
    page = opened(**options)
    page.goto(entrance.url + "/findings?severity=critical")
    pick(page, "Sign in with Microsoft")
    expect(page.get_by_role("heading", name="Pick an account")).to_be_visible()
    pick(page, "Kåri Nordmann")
    expect(page).to_have_url(entrance.url + "/findings?severity=critical")
    expect(page.get_by_role("heading", name="Findings", exact=True)).to_be_visible()


def test_nothing_is_wider_than_a_telephone(opened, entrance):
    page = opened(viewport={"width": 390, "height": 844})
    page.goto(entrance.url + "/signin?error=AccessDenied")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.get_by_role("alert")).to_contain_text("may not sign in here")


def test_whoever_is_known_to_nobody_is_told_so(opened, entrance):
    page = opened()
    page.goto(entrance.url + "/signin")
    pick(page, "Sign in with Microsoft")
    pick(page, "Gus Guest")
    expect(page.get_by_role("alert")).to_contain_text("may not sign in here")


def test_whoever_cancels_can_sign_in_all_the_same(opened, entrance):
    page = opened()
    page.goto(entrance.url + "/findings")
    pick(page, "Sign in with Microsoft")
    pick(page, "Cancel")
    expect(page.get_by_role("alert")).to_contain_text("cancelled")
    pick(page, "Sign in with Microsoft")
    pick(page, "Kåri Nordmann")
    expect(page).to_have_url(entrance.url + "/findings")


def test_an_invitation_is_taken_up(opened, entrance):
    user = make_user("customer_viewer", customer=make_customer("Northwind"), email="someone@elsewhere.example", password=PASSWORD)
    page = opened()
    page.goto(f"{entrance.url}/signin?invitation={identities.invite(user, actor='test')}")
    expect(page.get_by_text("You were invited as someone@elsewhere.example")).to_be_visible()
    expect(page.get_by_label("Password")).to_have_count(0)
    pick(page, "Sign in with Microsoft")
    pick(page, "No Mailbox")
    expect(page.get_by_role("heading", name="Security overview")).to_be_visible()
    page.goto(f"{entrance.url}/signin?invitation=used")
    expect(page.get_by_role("alert")).to_contain_text("no longer good")


def test_a_window_that_a_client_opened_closes_itself_and_the_client_has_its_tokens(opened, entrance):
    page = opened()
    page.goto(entrance.url + "/signin")
    page.evaluate(CLIENT)
    with page.context.expect_page() as found:
        pick(page, "Open the window")
    window = found.value
    with window.expect_event("close"):
        pick(window, "Kåri Nordmann")
    told = page.evaluate("() => window.told")
    assert (told["status"], told["data"].keys()) == (201, {"accessToken", "refreshToken"})


def test_somebody_who_was_sent_a_link_is_asked_before_its_sender_gets_in(opened, entrance):
    sender, victim = opened(), opened()
    sender.goto(entrance.url + "/signin")
    asked = sender.evaluate("fetch('/v1/auth/uri').then((answer) => answer.json())")["data"]
    victim.goto(asked["uri"])
    pick(victim, "Kåri Nordmann")
    expect(victim.get_by_role("heading", name="Sign in an application?")).to_be_visible()
    pick(victim, "No, this was not me")
    expect(victim.get_by_role("heading", name="Nobody was signed in")).to_be_visible()
    told = sender.request.post(entrance.url + "/v1/auth/callback", data={"callbackKey": asked["callbackKey"]})
    assert told.status == 403
    victim.go_back()
    victim.reload()
    expect(victim.get_by_role("heading", name="Please start again")).to_be_visible()
    entrance.complaints[:] = [said for said in entrance.complaints if "400" not in said]  # the page that says so has that status
