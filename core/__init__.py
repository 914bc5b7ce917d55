"""The small core of Stockade: tenancy, permissions, credentials, findings, aggregation and the plugin contract."""

__version__ = "0.1.0"
