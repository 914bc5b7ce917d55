"""The job functions that a worker may run: the whole allow-list."""

from core import deployment

EXECUTE_RUN = "core.connections.jobs.execute_run"
ALLOWED = frozenset({EXECUTE_RUN})


def execute_run(run_id: str) -> None:
    """Run, take up again or finish the run with this id; all that it needs is in the database."""
    from core.connections import engine  # heavy, and only a worker needs it

    engine.execute(deployment.current(), run_id)
