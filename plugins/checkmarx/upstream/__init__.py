"""A stand-in of Checkmarx One: token service, projects, scans, results of every engine, and DAST, over real HTTP.

``create_app(world)`` is a Flask app; ``python -m plugins.checkmarx.upstream`` runs one by itself.
"""

from plugins.checkmarx.upstream.app import create_app
from plugins.checkmarx.upstream.seed import DEMO, TENANTS, Plan, default_world, many_results
from plugins.checkmarx.upstream.webhooks import delivery, signature
from plugins.checkmarx.upstream.world import (
    ALL_ENGINES,
    TODAY,
    Attack,
    Credential,
    DastScan,
    Environment,
    Project,
    Result,
    Risk,
    Scan,
    Tenant,
    World,
    stable_id,
)

__all__ = [
    "ALL_ENGINES", "DEMO", "TENANTS", "TODAY", "Attack", "Credential", "DastScan", "Environment", "Plan", "Project", "Result", "Risk",
    "Scan", "Tenant", "World", "create_app", "default_world", "delivery", "many_results", "signature", "stable_id",
]
