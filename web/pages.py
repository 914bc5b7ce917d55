"""Loading this module puts every page on the blueprint."""

from web import customers, errors, findings, integrations, overview, sign_in
from web.blueprint import blp

__all__ = ["blp", "customers", "errors", "findings", "integrations", "overview", "sign_in"]
