"""Rules of the source itself that no linter of ours knows."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for folder in ("core", "plugins", "web") for path in (ROOT / folder).rglob("*.py"))

#: the borders where anything at all may be caught: around a plugin call, and around a job
BORDERS = {"core/hooks/manager.py", "core/hooks/mounting.py", "core/connections/service.py", "core/connections/live.py",
           "core/connections/engine.py", "core/imports/parsers.py", "core/runtime/demo.py", "core/http/surfaces.py"}


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def catches_everything(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in ("Exception", "BaseException")) for kind in kinds)


def test_everything_is_caught_only_at_the_borders():
    found = {name_of(path) for path in SOURCES for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.ExceptHandler) and catches_everything(node)}
    assert found <= BORDERS


@pytest.mark.parametrize("path", [path for path in SOURCES if path.name.endswith("routes.py")], ids=name_of)
def test_a_route_catches_nothing(path):
    assert not [node.lineno for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Try)]


def test_no_module_is_a_drawer_for_odds_and_ends():
    assert not [name_of(path) for path in SOURCES if path.stem in ("utils", "util", "helpers", "helper", "common", "misc")]


def test_every_module_of_core_says_what_it_is_for():
    speaking_for_themselves = {"models.py", "schemas.py", "__main__.py"}
    told = [path for path in SOURCES if path.stat().st_size and path.name not in speaking_for_themselves]
    assert [name_of(path) for path in told if not ast.get_docstring(ast.parse(path.read_text()))] == []


def test_imports_keep_to_the_layers():
    done = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
