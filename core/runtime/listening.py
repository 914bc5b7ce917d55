"""Opening the socket that a web server answers on, before anything else is started: what is wrong with it is told at once."""

import errno
import socket

from core.runtime.exits import CommandFailed, ExitCode

_BACKLOG = 512


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    :raises CommandFailed: when the port is taken or the address is not this machine's.
    """
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as problem:
        raise CommandFailed(ExitCode.CONFIGURATION, f"{host} is not an address of this machine: {problem.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(_BACKLOG)
    except OSError as problem:
        listener.close()
        if problem.errno == errno.EADDRINUSE:
            raise CommandFailed(ExitCode.IN_USE, f"port {port} is in use; choose another with --port") from None
        raise CommandFailed(ExitCode.CONFIGURATION, f"cannot listen on {host} port {port}: {problem.strerror}") from None
    return listener


def shown(listener: socket.socket) -> str:
    """``HOST:PORT`` of the socket, as an address has it."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
