"""A stand-in of ConnectWise PSA: its hosts and codebases, conditions, both paginations, limits, error bodies, keys and callbacks over
real HTTP.

``create_app(world)`` is a Flask app; ``python -m plugins.connectwise.upstream`` runs one by itself.
"""

from plugins.connectwise.upstream.app import create_app
from plugins.connectwise.upstream.callbacks import announce, deliver, message, signature
from plugins.connectwise.upstream.seed import DEMO, demo_world
from plugins.connectwise.upstream.world import TODAY, Member, Throttle, World

__all__ = ["DEMO", "TODAY", "Member", "Throttle", "World", "announce", "create_app", "deliver", "demo_world", "message", "signature"]
