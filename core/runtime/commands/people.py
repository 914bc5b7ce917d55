"""People, service accounts, API tokens, customers."""

import sys

import click

from core.runtime.commands.shared import customer_called, deployment_of, home_option, json_option, show
from core.runtime.exits import CommandFailed, ExitCode


@click.group()
def user() -> None:
    """People who sign in."""


@user.command("add")
@click.argument("email")
@click.option("--role", required=True, help="msp_admin, msp_analyst, customer_admin, customer_viewer, or one of your own.")
@click.option("--customer", help="Customer, by id or name, in which the role is held; MSP staff hold theirs everywhere.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking for it.")
@click.option("--without-password", is_flag=True, help="For somebody who signs in with a provider alone; see `stockade user invite`.")
@home_option
def user_add(email: str, role: str, customer: str | None, password_stdin: bool, without_password: bool, home: str | None) -> None:
    """Add somebody who signs in with EMAIL and a password."""
    from core.access import service as access
    from core.db import atomic
    from core.people import service as people

    deployment = deployment_of(home)
    customer_id = customer_called(customer).id if customer else None
    password = None if without_password else _password(password_stdin)
    with atomic():
        added = people.add(email, actor=access.COMMAND.actor, settings=deployment.settings, password=password)
        access.grant_role(access.COMMAND, added, role, customer_id)
    click.echo(added.id)


@user.command("invite")
@click.argument("email")
@click.option("--days", type=click.IntRange(1, 90), default=7, show_default=True, help="How long the link is good.")
@home_option
def user_invite(email: str, days: int, home: str | None) -> None:
    """Print a link by which the user EMAIL signs in with a provider for the first time; whoever opens it becomes that user."""
    from core.access.service import COMMAND
    from core.http.addresses import SIGN_IN_PAGE
    from core.people import service as people
    from core.signin import identities, providers

    settings = deployment_of(home).settings
    if not providers.configured(settings):
        raise CommandFailed(ExitCode.REFUSED, "no sign-in provider is set up: see STOCKADE_OIDC_... in docs/operators.md")
    secret = identities.invite(people.by_email(email), actor=COMMAND.actor, days=days)
    click.echo(f"{settings.public_url.rstrip('/')}{SIGN_IN_PAGE}?invitation={secret}")


@user.command("link")
@click.argument("email")
@click.argument("subject")
@click.option("--tenant", help="The tenant's id, when it is Microsoft's; SUBJECT is the person's object id there.")
@home_option
def user_link(email: str, subject: str, tenant: str | None, home: str | None) -> None:
    """Let the user EMAIL sign in as SUBJECT, the provider's own id of that person."""
    from core.access.service import COMMAND
    from core.people import service as people
    from core.signin import identities, providers

    deployment = deployment_of(home)
    wanted = providers.MICROSOFT if tenant else providers.OTHER
    provider = next((found for found in providers.configured(deployment.settings) if found.id == wanted), None)
    if provider is None:
        raise CommandFailed(ExitCode.REFUSED, "this provider is not set up: see STOCKADE_OIDC_... in docs/operators.md")
    identities.link(people.by_email(email), provider.identity_of(subject, tenant or ""), actor=COMMAND.actor)


@user.command("unlink")
@click.argument("email")
@home_option
def user_unlink(email: str, home: str | None) -> None:
    """Take from the user EMAIL every way to sign in with a provider, and end what he is signed in with."""
    from core.access.service import COMMAND
    from core.people import service as people
    from core.signin import identities

    deployment_of(home)
    number = identities.unlink_all(people.by_email(email), actor=COMMAND.actor)
    click.echo(f"{number} identities removed")


@user.command("add-service")
@click.argument("login")
@click.option("--role", required=True, help="As for `stockade user add`.")
@click.option("--customer", help="Customer, by id or name, in which the role is held.")
@home_option
def user_add_service(login: str, role: str, customer: str | None, home: str | None) -> None:
    """Add the account LOGIN for a program: it never signs in, and acts by API tokens. Prints its address."""
    from core.access import service as access
    from core.access import users

    deployment_of(home)
    company = {"company_id": customer_called(customer).id} if customer else {}
    click.echo(users.create_service_account(access.COMMAND, {"login": login, "name": "", "roles": [role], **company}).user.email)


@user.command("disable")
@click.argument("email")
@home_option
def user_disable(email: str, home: str | None) -> None:
    """Shut the user EMAIL out; what he holds stays."""
    _switch_user(email, "disabled", home)


@user.command("enable")
@click.argument("email")
@home_option
def user_enable(email: str, home: str | None) -> None:
    """Let the user EMAIL in again."""
    _switch_user(email, "active", home)


def _switch_user(email: str, status: str, home: str | None) -> None:
    from core.access import users
    from core.access.nodes import NodeRegistry
    from core.access.service import COMMAND
    from core.people import service as people

    deployment_of(home)
    users.change(COMMAND, people.by_email(email).id, {"status": status}, NodeRegistry())


def _password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise click.UsageError("give the password on standard input with --password-stdin, or run this on a terminal")
    return click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)


@click.group()
def token() -> None:
    """API tokens for programs."""


@token.command("create")
@click.option("--user", "email", required=True, metavar="EMAIL", help="Whom the token acts for.")
@click.option("--name", default="", help="What it is for.")
@click.option("--node", "nodes", multiple=True, help="Narrow it to this permission; may be repeated.")
@click.option("--customer", help="Narrow it to this customer, by id or name.")
@click.option("--expires", "days", type=click.IntRange(1), metavar="DAYS", help="Let it expire; never when not given.")
@home_option
def token_create(email: str, name: str, nodes: tuple[str, ...], customer: str | None, days: int | None, home: str | None) -> None:
    """Print a new token, which is not shown again."""
    from core.access import service as access
    from core.access import tokens
    from core.access.nodes import NodeRegistry
    from core.people import service as people

    deployment = deployment_of(home)
    click.echo(tokens.create(access.COMMAND, people.by_email(email), registry=NodeRegistry(deployment.plugins.permission_nodes), name=name,
                             nodes=list(nodes) or None, customer_id=customer_called(customer).id if customer else None,
                             expires_days=days).secret)


@token.command("list")
@click.option("--user", "email", required=True, metavar="EMAIL", help="Whose.")
@home_option
@json_option
def token_list(email: str, home: str | None, as_json: bool) -> None:
    """List a user's tokens, newest first, with those that ended."""
    from core.access import tokens
    from core.access.v1_schemas import TokenSchema
    from core.people import service as people

    deployment_of(home)
    rows = TokenSchema(many=True).dump(tokens.of_user(people.by_email(email).id))
    show(rows, as_json, lambda row: f"{row['id']}  {row['prefix']}...  {'ended' if row['revokedAt'] else 'good':<5}  "
                                     f"until {row['expiresAt'] or 'revoked':<24}  {row['name']}")


@token.command("revoke")
@click.argument("token_id", metavar="ID")
@home_option
def token_revoke(token_id: str, home: str | None) -> None:
    """End the token ID for good, with those that were made with it."""
    from core.access import tokens
    from core.access.service import COMMAND

    deployment_of(home)
    tokens.revoke(token_id, actor=COMMAND.actor)


@click.group()
def customer() -> None:
    """Customers."""


@customer.command("list")
@home_option
@json_option
def customer_list(home: str | None, as_json: bool) -> None:
    """List the customers by name."""
    from core import clock
    from core.tenancy import service as tenancy

    deployment_of(home)
    rows = [{"id": row.id, "name": row.name, "status": row.status, "createdAt": clock.iso(row.created_at)}
            for row in tenancy.all_customers()]
    show(rows, as_json, lambda row: f"{row['id']}  {row['status']:<8}  {row['name']}")


@customer.command("add")
@click.argument("name")
@home_option
def customer_add(name: str, home: str | None) -> None:
    """Add a customer and print its id."""
    from core.access.service import COMMAND
    from core.tenancy import service as tenancy

    deployment_of(home)
    click.echo(tenancy.create(name, actor=COMMAND.actor).id)
