"""Files of customers: reports, uploads, exports. On a local disk, in S3, or in memory, behind one small interface."""

from core.files.store import FileStore

__all__ = ["FileStore"]
