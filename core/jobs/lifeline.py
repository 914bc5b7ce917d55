"""A process that does not outlive the one that started it, even when that one is killed."""

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5

# Loaded before any fork: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def tied_to_parent(sent: signal.Signals = signal.SIGKILL) -> Callable[[], None] | None:
    """What to give ``subprocess.Popen(preexec_fn=...)`` so that the kernel sends the child ``sent`` when its parent dies.

    None where the kernel cannot; there a Python child calls ``die_with`` itself. Start such a child from the main thread:
    the kernel takes the end of the starting thread for the end of the parent.
    """
    if _libc is None:
        return None
    libc, parent, number = _libc, os.getpid(), int(sent)

    def tie() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:  # it died between the fork and the tie
            os._exit(1)

    return tie


def die_with(parent: int, sent: signal.Signals = signal.SIGKILL) -> None:
    """End this process as soon as the process ``parent``, which started it, is gone."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(sent))
    if os.getppid() != parent:
        os._exit(1)
    if _libc is None:
        threading.Thread(target=_watch, args=(parent, sent), daemon=True, name="lifeline").start()


def _watch(parent: int, sent: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), sent)
