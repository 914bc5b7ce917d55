"""A stand-in of Snyk: its REST API and what is left of v1, with cursors, versions, limits, error bodies, login and webhooks over
real HTTP.

``create_app(world)`` is a Flask app; ``python -m plugins.snyk.upstream`` runs one by itself.
"""

from plugins.snyk.upstream.app import create_app
from plugins.snyk.upstream.seed import COMPANIES, DEMO, Plan, admit_companies, default_world, group_of
from plugins.snyk.upstream.webhooks import send_webhook, signature
from plugins.snyk.upstream.world import TODAY, Ignore, Issue, Organization, Project, Target, Throttle, Token, World, made_id

__all__ = [
    "COMPANIES", "DEMO", "TODAY", "Ignore", "Issue", "Organization", "Plan", "Project", "Target", "Throttle", "Token", "World",
    "admit_companies", "create_app", "default_world", "group_of", "made_id", "send_webhook", "signature",
]
