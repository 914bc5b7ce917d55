"""Loading this module puts every page on the blueprint."""

from web import customers, deciding, errors, finding, findings, imports, integrations, overview, policy, runs, sign_in, verdicts
from web.blueprint import blp

__all__ = ["blp", "customers", "deciding", "errors", "finding", "findings", "imports", "integrations", "overview", "policy", "runs",
           "sign_in", "verdicts"]
