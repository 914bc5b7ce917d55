"""What workers run. ``core.jobs.queue`` has the allow-list that names it."""

from core import deployment

EXECUTE_RUN = "core.connections.jobs.execute_run"
EXECUTE_IMPORT = "core.imports.jobs.execute_import"  # an area above this one


def execute_run(run_id: str) -> None:
    """Run, take up again or finish the run with this id; all that it needs is in the database."""
    from core.connections import engine  # heavy, and only a worker needs it

    engine.execute(deployment.current(), run_id)
