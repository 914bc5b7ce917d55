"""A stand-in of SonarQube Server and SonarQube Cloud: its paging, limits, error bodies, login and webhooks over real HTTP.

``create_app(world)`` is a Flask app; ``python -m plugins.sonarqube.upstream`` runs one by itself.
"""

from plugins.sonarqube.upstream.app import create_app
from plugins.sonarqube.upstream.seed import DEMO, ORGANIZATIONS, Plan, admit_organizations, default_world, demo_world, one_moment
from plugins.sonarqube.upstream.webhooks import send_webhook, signature
from plugins.sonarqube.upstream.world import TODAY, Branch, Flavour, Hotspot, Issue, Project, Rule, Token, World

__all__ = [
    "DEMO", "ORGANIZATIONS", "TODAY", "Branch", "Flavour", "Hotspot", "Issue", "Plan", "Project", "Rule", "Token", "World",
    "admit_organizations", "create_app", "default_world", "demo_world", "one_moment", "send_webhook", "signature",
]
