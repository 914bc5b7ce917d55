"""Whether this process has been asked to stop: what holds a connection open for long looks here, and lets go."""

from collections.abc import Callable

_asked: Callable[[], bool] = lambda: False  # noqa: E731


def told_by(asked: Callable[[], bool]) -> None:
    """``asked`` knows; set once, by whoever runs the web server."""
    global _asked  # noqa: PLW0603  one per process, set at its start
    _asked = asked


def is_stopping() -> bool:
    return _asked()
