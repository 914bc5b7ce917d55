"""Ports of this machine."""

import socket
from contextlib import closing


def is_free(port: int) -> bool:
    """Whether a stand-in could listen there now."""
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
