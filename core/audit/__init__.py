"""The audit log: append-only events, chained by hash per customer and overall."""

from core.audit.service import record, verify

__all__ = ["record", "verify"]
