"""What the scheduler does for the audit log."""

from core.audit.retention import trim
from core.audit.sealing import SealingKey, seal_if_due


def tick(key: SealingKey, retention_days: int, now: int) -> None:
    """Seal what was recorded, and delete what is too old; ``retention_days`` of 0 keeps everything."""
    seal_if_due(key, now)
    if retention_days:
        trim(key, retention_days, now)
