"""A whole deployment that a browser can look at: the app on a loopback port, two customers, a SonarQube stand-in with their projects."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from playwright.sync_api import Browser, Page, Playwright

from core.app import create_app
from core.assets import groups
from core.assets.groups import GroupDraft
from core.assets.models import Asset
from core.connections import engine, runs, service
from core.connections.models import Connection, Run
from core.deployment import Deployment
from core.http import cookies
from core.people import service as people
from core.people import sessions
from core.people.models import UserSession
from core.scope import Scope
from core.tenancy.models import Customer
from core.testing.standin import StandIn
from plugins.checkmarx import upstream as checkmarx
from plugins.sonarqube.upstream import Plan, World, admit_organizations, default_world
from plugins.sonarqube.upstream import create_app as create_sonar
from plugins.sonarqube.upstream.world import Flavour
from tests import chromium, factories
from tests.processes import deployment_of, environment

PASSWORD = factories.PASSWORD
ADMIN, ANALYST, VIEWER = "grace.hopper@msp.example", "alan.turing@msp.example", "ada.lovelace@contoso.example"
FEW_RESULTS = checkmarx.Plan(projects=4, results=60, largest=20, attacks=24)
SMALL = Plan(projects=8, issues=300, largest=90, hotspots=24)
_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
              "--disable-component-update", "--disable-sync"]


@dataclass
class Site:
    """What is served. ``northwind`` is configured and synced by those who ask for it; ``contoso`` is so from the start."""

    url: str
    environ: dict[str, str]
    deployment: Deployment
    world: World
    sonar_url: str
    tokens: dict[str, str]
    northwind: Customer
    contoso: Customer

    def connect(self, customer: Customer, organization: str) -> Connection:
        connector = self.deployment.plugins.connector("sonarqube")
        settings = {"url": self.sonar_url, "organization": organization, "token": self.tokens[organization]}
        return service.configure(self.deployment, Scope(customer.id), connector, settings, actor="test", interval_minutes=360)

    def sync(self, connection: Connection) -> Run:
        """One sync from its beginning to its end, in this process."""
        run = runs.request_sync(self.deployment, connection, trigger="person", requested_by=ADMIN)
        engine.execute(self.deployment, run.id)
        return Run.get_by_id(run.id)

    def arrange(self, customer: Customer) -> None:
        """Put the customer's assets into further groups that overlap."""
        scope = Scope(customer.id)
        present = [GroupDraft(group.row.name, tuple(asset.id for asset in group.members), id=group.row.id)
                   for group in groups.listing(scope)]
        assets = [asset.id for asset in Asset.within(scope).order_by(Asset.open_critical.desc(), Asset.name)]
        drafts = [GroupDraft("Customer-facing services", tuple(assets[::2])), GroupDraft("Crown jewels", tuple(assets[:3]), shared=True)]
        groups.replace(scope, present + drafts, groups.ReplaceMode.ALL, may_change_shared=True, actor=ADMIN)


@contextmanager
def checkmarx_of(site: Site, customer: Customer, plan: checkmarx.Plan = FEW_RESULTS) -> Iterator[Connection]:
    """The customer's connection to a Checkmarx stand-in with DAST environments, synced once; the stand-in answers while the block lasts."""
    world = checkmarx.default_world(plan)
    secret = "a-client-secret-for-tests"
    world.admit_client(checkmarx.Credential("contoso", "portal", secret))
    with StandIn(checkmarx.create_app(world)) as service_of_checkmarx:
        settings = {"url": service_of_checkmarx.url, "tenant": "contoso", "client_id": "portal", "client_secret": secret}
        connector = site.deployment.plugins.connector("checkmarx")
        connection = service.configure(site.deployment, Scope(customer.id), connector, settings, actor="test", interval_minutes=60)
        site.sync(connection)
        yield connection


@contextmanager
def served(home: Path, database: str, redis_url: str, plan: Plan = SMALL) -> Iterator[Site]:
    """A site while the block lasts; ``core.db`` must be configured for ``database`` and migrated."""
    environ = environment(home, database, redis_url)
    deployment = deployment_of(environ)
    app = create_app(deployment.settings, plugins=deployment.plugins, queue=deployment.queue)
    world = default_world(plan, replace(Flavour(), cloud=True))
    northwind, contoso = factories.make_customer("Northwind Traders"), factories.make_customer("Contoso Insurance")
    _people(contoso)
    with StandIn(create_sonar(world)) as sonar, StandIn(app) as web:
        site = Site(web.url, environ, deployment, world, sonar.url, admit_organizations(world), northwind, contoso)
        site.sync(site.connect(contoso, "contoso"))
        site.arrange(contoso)
        yield site


def _people(customer: Customer) -> None:
    for email, name, role in ((ADMIN, "Grace Hopper", "msp_admin"), (ANALYST, "Alan Turing", "msp_analyst"),
                              (VIEWER, "Ada Lovelace", "customer_viewer")):
        user = factories.make_user(role, customer=customer, email=email, password=PASSWORD)
        type(user).update(name=name).where(type(user).id == user.id).execute()


def launched(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=chromium.found(), args=_ARGUMENTS)


def sign_in(page: Page, site: Site, email: str, password: str = PASSWORD) -> None:
    """Fill in the form that the page shows, or that of the sign-in page."""
    if page.get_by_label("Password").count() == 0:
        page.goto(site.url + "/signin")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def enter(page: Page, site: Site, email: str, customer: Customer | None = None) -> None:
    """As somebody who has signed in and picked this customer, without the pages for that: half the time of most tests."""
    settings = site.deployment.settings
    token = sessions.begin(people.by_email(email).id, settings)
    if customer is not None:
        sessions.pick_customer(UserSession.get(UserSession.token_digest == sessions.digest_of(token)), customer.id)
    page.context.add_cookies([{"name": cookies.session_cookie_name(settings), "value": token, "url": site.url}])


def choose(page: Page, site: Site, customer: Customer) -> None:
    page.goto(site.url + "/customers")
    page.get_by_role("main").get_by_role("button", name=customer.name).click()
