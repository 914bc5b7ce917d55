"""Duties that only one process of a deployment may have at a time, kept in the database.

Holders compare their own clocks, so a duty should last well longer than the machines' clocks may differ.
"""

from core import clock
from core.jobs.models import Lease


def take(name: str, holder: str, seconds: float) -> bool:
    """Take the duty, or renew it, for ``seconds`` from now; False while another holder has it. One statement, so never two."""
    now = clock.now()
    until = now + int(seconds * clock.SECOND)
    mine_or_free = (Lease.holder == holder) | (Lease.expires_at <= now)
    return bool(Lease.insert(name=name, holder=holder, expires_at=until)
                .on_conflict(conflict_target=[Lease.name], update={Lease.holder: holder, Lease.expires_at: until}, where=mine_or_free)
                .as_rowcount().execute())


def give_up(name: str, holder: str) -> None:
    """Let another take the duty at once; nothing happens when ``holder`` does not have it."""
    Lease.delete().where(Lease.name == name, Lease.holder == holder).execute()


def holder_of(name: str) -> str | None:
    """Who has the duty now, or None."""
    return Lease.select(Lease.holder).where(Lease.name == name, Lease.expires_at > clock.now()).scalar()
