"""The parts that one running process was put together from: settings, plugins, queue, keys.

The web app keeps it in ``app.extensions["stockade"]``; a worker, the scheduler and the command line build one and ``use`` it.
"""

from dataclasses import dataclass
from typing import Any

from core.settings import Settings


@dataclass(frozen=True, slots=True)
class Deployment:
    """Handles, not state: two processes with equal settings are interchangeable.

    :ivar plugins: ``core.hooks.manager.Plugins``.
    :ivar queue: ``core.jobs.queue.JobQueue``.
    :ivar keyring: ``core.credentials.keyring.Keyring``.
    :ivar gate: ``core.access.gate``'s gate; only the web app has one.
    """

    settings: Settings
    plugins: Any
    queue: Any
    keyring: Any
    gate: Any = None


_current: Deployment | None = None


def use(deployment: Deployment) -> Deployment:
    """Make ``deployment`` the one that jobs of this process run with."""
    global _current  # noqa: PLW0603  one per process, set once at its start
    _current = deployment
    return deployment


def current() -> Deployment:
    """The deployment of this process; outside the web app, where ``current_app`` has it."""
    if _current is None:
        raise RuntimeError("this process has not said which deployment it belongs to")
    return _current
