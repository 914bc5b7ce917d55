"""How a connection fares, as its page and its list show it."""

from core import clock
from core.connections.models import Connection


def after_run(connection: Connection, health: str, code: str, message: str) -> None:
    """Mark the connection with how its newest run or check ended: ``ok``, ``failing`` or ``needs_attention`` with the reason."""
    Connection.update(health=health, health_code=code, health_message=message, health_at=clock.now()).where(
        Connection.id == connection.id).execute()
