"""The demo: two customers whose sources are stand-ins on this machine, synced by the worker like real ones.

``ensure_people`` runs before the web server starts; the rest is a program of its own, ``python -m core.runtime.demo``, which
keeps the stand-ins running.
"""

import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from core import logs
from core.deployment import Deployment
from core.hooks.contracts import StandIn
from core.runtime import demo_sign_in, ports
from core.runtime.exits import CommandFailed, ExitCode
from core.runtime.home import Home
from core.scope import HOUSE, Scope
from core.settings import Settings, load
from core.testing.standin import StandInProcess

log = logging.getLogger(__name__)

ADMIN, VIEWER = "admin@demo.example", "viewer@demo.example"
CUSTOMERS = ("Northwind Retail", "Contoso Insurance")
VIEWERS_CUSTOMER = CUSTOMERS[0]
_ACTOR = "demo"
_HOURLY = 60  # minutes
_LOOK_SECONDS = 0.5
_TRIES = 5
_LOCAL_PORTS = range(41000, 42000)  # outside of what systems give to outgoing connections on their own


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can sign in to the demo. ``customer`` is a customer's name; None for MSP staff."""

    email: str
    name: str
    role: str
    password: str
    customer: str | None = None


def ensure_people(settings: Settings, home: Home) -> list[Person]:
    """Make customers and users with the passwords in the home folder, which are made at the first start.

    :raises CommandFailed: when the folder holds a deployment that is not a demo.
    """
    from core.access import service as access
    from core.people import service as people
    from core.people.models import User

    is_demo = home.demo_credentials.exists() or people.find_by_email(ADMIN) is not None
    if not is_demo and User.select().exists():
        raise CommandFailed(ExitCode.REFUSED, f"{home.folder} holds a deployment of its own; give the demo another --home")
    passwords = _passwords(home)
    everybody = [Person(ADMIN, "Alex Admin", "msp_admin", passwords[ADMIN]),
                 Person(VIEWER, "Vera Viewer", "customer_viewer", passwords[VIEWER], VIEWERS_CUSTOMER)]
    customers = dict(zip(CUSTOMERS, ensure_customers(home), strict=True))
    for person in everybody:
        user = people.find_by_email(person.email)
        if user is None:
            user = people.add(person.email, actor=_ACTOR, settings=settings, name=person.name, password=person.password)
            access.grant_role(access.COMMAND, user, person.role, customers[person.customer] if person.customer else None)
        elif people.authenticate(person.email, person.password, settings) is None:
            people.set_password(user, person.password, actor=_ACTOR, settings=settings)
    if demo_sign_in.is_ours(settings):
        demo_sign_in.ensure_identities(settings)
    return everybody


def how_to_sign_in(everybody: Sequence[Person], settings: Settings) -> list[str]:
    """Lines for a person, passwords included."""
    lines = ["Sign in as", *(f"  {person.email:<20}  password  {person.password}   ({person.customer or 'MSP administrator'})"
                             for person in everybody)]
    if demo_sign_in.is_ours(settings):
        lines.append("  or with Microsoft: a stand-in on this machine, as Alex Admin or Vera Viewer, without a password")
    return lines


def ensure_customers(home: Home) -> list[str]:
    """Ids of the demo's customers, in the order of ``CUSTOMERS``; kept in the home folder, since people may rename them."""
    from core.tenancy import service as tenancy
    from core.tenancy.models import Customer

    kept = json.loads(home.demo_customers.read_text(encoding="utf-8")) if home.demo_customers.exists() else []
    if len(kept) == len(CUSTOMERS) and all(tenancy.find(customer_id) for customer_id in kept):
        return kept
    there = [Customer.get_or_none(Customer.name_key == tenancy.name_key(name)) for name in CUSTOMERS]
    ids = [(customer or tenancy.create(name, actor=_ACTOR)).id for customer, name in zip(there, CUSTOMERS, strict=True)]
    home.demo_customers.write_text(json.dumps(ids), encoding="utf-8")
    return ids


def _passwords(home: Home) -> dict[str, str]:
    """Those in the credentials file, by e-mail address; missing ones are made and written there."""
    kept = {}
    if home.demo_credentials.exists():
        for line in home.demo_credentials.read_text(encoding="utf-8").splitlines():
            words = line.split()
            if len(words) == 2:
                kept[words[0]] = words[1]
    made = {email: kept.get(email) or secrets.token_urlsafe(12) for email in (ADMIN, VIEWER)}
    if made != kept:
        descriptor = os.open(home.demo_credentials, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{email} {password}\n" for email, password in made.items())
    return made


# -- the program that keeps the stand-ins ---------------------------------------------------------------------------------------


def main() -> None:
    """Connect the customers to stand-ins, have them synced, arrange their assets in groups; then keep the stand-ins running."""
    from core.runtime.assemble import assemble

    settings = load(os.environ)
    logs.configure(settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    deployment = assemble(settings)
    scopes = [Scope(customer_id) for customer_id in ensure_customers(Home.of(settings.home, {}))]
    unarranged = [scope for scope in scopes if not _was_synced(scope)]
    with ExitStack() as running:
        processes: list[StandInProcess] = []
        if demo_sign_in.is_ours(settings):
            processes.append(running.enter_context(demo_sign_in.process(settings, sys.argv[1:])))
        for offered in deployment.plugins.stand_ins():
            try:
                served = [Scope(HOUSE)] if deployment.plugins.is_of_house(offered.source) else scopes
                processes.append(running.enter_context(_Kept(deployment, offered, served)))
            except Exception:  # the border around a plugin call: the demo goes on without this source
                log.exception("the stand-in of %s could not be set up", offered.source)
        while not stop.wait(_LOOK_SECONDS):
            unarranged = [scope for scope in unarranged if not _arrange_when_synced(scope)]
            if any(process.pid is None for process in processes):
                raise SystemExit("a stand-in ended")  # whoever keeps this program running starts it again


class _Kept:
    """One stand-in, running, with every demo customer connected to it; the MSP itself where the source is its own."""

    def __init__(self, deployment: Deployment, offered: StandIn, scopes: Sequence[Scope]) -> None:
        self._deployment = deployment
        self._offered = offered
        self._scopes = scopes

    def __enter__(self) -> StandInProcess:
        self._process = self._started()
        log.info("stand-in of %s at %s", self._offered.source, self._process.url)
        for number, scope in enumerate(self._scopes):
            _connect(self._deployment, self._offered, scope, number, self._process.url)
        return self._process

    def __exit__(self, *exc: object) -> None:
        self._process.stop()

    def _started(self) -> StandInProcess:
        offered = self._offered
        tokens = [_token(self._deployment, offered, number) for number in range(len(self._scopes))]
        for port in islice(_free_ports(offered), _TRIES):  # another demo may take a port before our stand-in does
            process = StandInProcess(offered.module, [*offered.arguments, "--port", str(port)], env=offered.environ(tokens))
            with suppress(RuntimeError):
                return process.start()
        raise RuntimeError(f"the stand-in of {offered.source} does not start; try `python -m {offered.module}`")


def _token(deployment: Deployment, offered: StandIn, number: int) -> str:
    """A customer's token at a stand-in: as random as the master key, and the same at every start."""
    return offered.token_prefix + deployment.keyring.derived(f"demo token {offered.source} {number}").hex()[:40]


def _free_ports(offered: StandIn) -> Iterator[int]:
    """The port that the connections name already, then others, as far as they are free."""
    from core.connections.models import Connection

    stored = [str(row.settings.get("url") or row.settings.get("site") or "").rstrip("/").rpartition(":")[2]
              for row in Connection.select().where(Connection.source == offered.source)]
    return (port for port in chain((int(port) for port in stored if port.isdigit()), _LOCAL_PORTS) if ports.is_free(port))


def _connect(deployment: Deployment, offered: StandIn, scope: Scope, number: int, address: str) -> None:
    """Configure the customer's connection, or move it to the stand-in's present address; sync it when it never was."""
    from core.connections import runs, service
    from core.connections.models import Run

    connector = deployment.plugins.connector(offered.source)
    wanted: Mapping[str, Any] = offered.settings(address, _token(deployment, offered, number), number)
    connection = service.find(scope, connector.source)
    if connection is None or any(connection.settings.get(name, value) != value for name, value in wanted.items()):
        connection = service.configure(deployment, scope, connector, wanted, actor=_ACTOR, interval_minutes=_HOURLY)
    if not Run.within(scope).where(Run.connection_id == connection.id).exists():
        runs.request_sync(deployment, connection, trigger="command", requested_by=_ACTOR)


def _was_synced(scope: Scope) -> bool:
    """Whether each of the customer's connections has been through its first sync, and one of them with success."""
    from core.connections.models import Connection, Run
    from core.db import db

    with db.connection_context():
        connections = {connection.id for connection in Connection.within(scope)}
        ended = {run.connection_id: run.state for run in Run.within(scope).where(Run.finished_at.is_null(False))}
    return connections <= ended.keys() and not {"succeeded", "partial"}.isdisjoint(ended.values())


def _arrange_when_synced(scope: Scope) -> bool:
    """After a customer's first syncs, put its assets into groups of its own and MSP-wide ones; True when that is done.

    Only once: what people change of the groups afterwards stays.
    """
    from core.assets import groups
    from core.assets.models import Asset
    from core.db import db

    if not _was_synced(scope):
        return False
    with db.connection_context():
        assets = [asset.id for asset in Asset.within(scope).order_by(Asset.open_critical.desc(), Asset.name, Asset.id)]
        groups.replace(scope, _drafts(groups.listing(scope), assets), groups.ReplaceMode.ALL, may_change_shared=True, actor=_ACTOR)
    log.info("%d assets of %s arranged in groups", len(assets), scope.customer_id)
    return True


_OWN = ("Customer-facing services", "Internal systems")
_SHARED = ("Crown jewels", "Quarterly penetration test")


def _drafts(present: Sequence[Any], assets: Sequence[str]) -> list[Any]:
    """The groups that are there, unchanged, and the demo's own, which overlap as real ones do.

    :param assets: a customer's, the most endangered first.
    """
    from core.assets.groups import GroupDraft

    members = {_OWN[0]: assets[: len(assets) * 2 // 3], _OWN[1]: assets[len(assets) // 2:],
               _SHARED[0]: assets[: max(3, len(assets) // 8)], _SHARED[1]: assets[::4]}
    drafts = {group.row.name: GroupDraft(group.row.name, tuple(asset.id for asset in group.members), id=group.row.id,
                                         description=group.row.description, shared=group.row.customer_id is None) for group in present}
    for name, ids in members.items():
        there = drafts.get(name)
        drafts[name] = GroupDraft(name, tuple(ids), id=there.id if there else None, shared=name in _SHARED)
    return list(drafts.values())


if __name__ == "__main__":
    main()
