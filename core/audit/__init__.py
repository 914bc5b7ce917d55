"""The audit log: append-only events, chained by hash per customer, all chains bound by a seal."""

from core.audit.service import record
from core.audit.verifying import verify

__all__ = ["record", "verify"]
