"""Sees to it that there is a Chromium: ``python -m tests.chromium``; tests ask ``found()`` for its path."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_INSTALL_SECONDS = 600


def found() -> str | None:
    """Path of an installed browser, or of Playwright's own; None when there is neither."""
    for name in _NAMES:
        if path := shutil.which(name):
            return path
    return _playwrights_own()


def _playwrights_own() -> str | None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path = playwright.chromium.executable_path
    return path if Path(path).exists() else None


def _install_with_apt() -> bool:
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return False
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return all(_succeeds(["apt-get", *words], environ) for words in (
        ["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]))


def _install_with_playwright() -> bool:
    return _succeeds([sys.executable, "-m", "playwright", "install", "chromium"], dict(os.environ))


def _succeeds(command: list[str], environ: dict[str, str]) -> bool:
    try:
        return subprocess.run(command, env=environ, stdout=subprocess.DEVNULL, timeout=_INSTALL_SECONDS).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def main() -> int:
    if found():
        return 0
    print("Installing a Chromium for the tests of the pages ...", flush=True)
    if (_install_with_apt() or _install_with_playwright()) and found():
        return 0
    print("*" * 100, "NO CHROMIUM: none is installed and none could be. The tests of the pages are left out, all others run.",
          "*" * 100, sep="\n", file=sys.stderr, flush=True)
    return 1 if os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
