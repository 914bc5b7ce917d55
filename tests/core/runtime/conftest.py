import logging
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from core.access.service import ensure_built_in_roles
from core.audit import origin
from core.db import db
from core.runtime import cli
from tests.processes import environment


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def environ(database, redis_url, tmp_path, monkeypatch):
    """The variables of a deployment with an empty database, also set for this process."""
    values = environment(tmp_path, database, redis_url)
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    ensure_built_in_roles()
    return values


@pytest.fixture
def stockade(capsys) -> Callable[..., Answer]:
    """Runs a command in this process."""

    def run(*arguments: str) -> Answer:
        capsys.readouterr()
        db.close_all()  # the command connects by itself
        with pytest.raises(SystemExit) as left:
            cli.main(arguments)
        told = capsys.readouterr()
        return Answer(int(left.value.code or 0), told.out, told.err)

    yield run
    logging.disable(logging.NOTSET)
    origin.stand_as(None)
