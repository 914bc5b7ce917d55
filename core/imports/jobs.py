"""What workers run for reports that nobody waits for. ``core.jobs.queue`` has the allow-list that names it."""

from core import deployment


def execute_import(run_id: str) -> None:
    """Do or take up again the import with this id; its report lies in the file store."""
    from core.connections import engine
    from core.imports import service

    current = deployment.current()
    with service.taken_up() as origin_of:
        engine.execute(current, run_id, origin_of)
