"""Installs the third-party distribution as its users would, but into a folder of its own and from no index."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("acme_scanner")


@pytest.fixture(scope="session")
def acme_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed distribution, for ``sys.path`` or ``PYTHONPATH``."""
    copy = tmp_path_factory.mktemp("source") / "acme_scanner"  # building writes beside the source
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("build", "*.egg-info", "__pycache__"))
    folder = tmp_path_factory.mktemp("acme")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
                    "--disable-pip-version-check", "--no-warn-script-location", "--target", folder, copy], check=True)
    return folder


@pytest.fixture
def acme_installed(acme_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The distribution is installed for this process."""
    monkeypatch.syspath_prepend(acme_folder)
