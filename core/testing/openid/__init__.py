"""A stand-in of an OpenID provider: Microsoft's identity platform, and a Keycloak-shaped one, over real HTTP on the loopback.

``create_app(world)`` is a Flask app made of Authlib's server parts; ``python -m core.testing.openid`` runs one by itself.
"""

from core.testing.openid.app import create_app
from core.testing.openid.world import CONSUMERS, CONTOSO, NORTHWIND, PEOPLE, REALM, STRANGE, App, Person, World

__all__ = ["CONSUMERS", "CONTOSO", "NORTHWIND", "PEOPLE", "REALM", "STRANGE", "App", "Person", "World", "create_app"]
