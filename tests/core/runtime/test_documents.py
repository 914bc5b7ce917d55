"""What the operators' guide, the README and the Makefile say is what the code has."""

import configparser
import re
from dataclasses import fields
from pathlib import Path

import click
import pytest

from core.runtime import cli
from core.runtime.exits import ExitCode
from core.settings import PREFIX, Settings

TOP = Path(__file__).parents[3]
GUIDE = (TOP / "docs" / "operators.md").read_text(encoding="utf-8")
README = (TOP / "README.md").read_text(encoding="utf-8")


def rows(first_column):
    """The cells of each row of the guide's table that begins with this column."""
    table = GUIDE.split(f"| {first_column} |", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


def shown(default):
    if default in ("", None, ()):
        return "none"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def test_the_guide_lists_every_setting_with_its_default_and_whether_it_is_secret():
    expected = [[f"`{PREFIX}{setting.name.upper()}`" + (" (secret)" if setting.metadata["secret"] else ""), shown(setting.default),
                 setting.metadata["doc"]] for setting in fields(Settings)]
    assert rows("variable") == expected


def test_the_guide_lists_every_exit_code():
    assert rows("code") == [[str(int(code)), code.meaning] for code in ExitCode]


def test_the_readme_names_every_command_and_no_other():
    table = README.split("## Commands", 1)[1].split("\n\n")[1]
    assert [name for name in cli.stockade.commands if f"`stockade {name}" not in table and f"`{name}`" not in table] == []
    assert {name for name in re.findall(r"\bstockade ([a-z]+)", README) if name not in cli.stockade.commands} == set()


def every_command(group, path=()):
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(("path", "command"), [pytest.param(*found, id=" ".join(found[0])) for found in every_command(cli.stockade)])
def test_every_command_explains_itself_and_its_options(path, command):
    assert command.help
    assert all(parameter.help for parameter in command.params if isinstance(parameter, click.Option) and not parameter.hidden)


def test_every_link_of_readme_and_guides_leads_somewhere():
    for page in (TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))):
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
        for target, anchor in re.findall(r"\]\(([^):]*)#([^)]+)\)", text):
            there = (page.parent / target if target else page).read_text(encoding="utf-8")
            headings = {re.sub(r"[^a-z0-9 _-]", "", line.lstrip("# ").lower()).replace(" ", "-")
                        for line in there.splitlines() if line.startswith("#")}
            assert anchor in headings, f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("target", ["run", "test", "install", "lint", "bench", "screenshots"])
def test_the_makefile_has_every_documented_target(target):
    assert re.search(rf"^{target}:", (TOP / "Makefile").read_text(), re.MULTILINE)


def test_every_direct_dependency_is_pinned():
    setup = configparser.ConfigParser()
    setup.read(TOP / "setup.cfg")
    wanted = setup["options"]["install_requires"].split("\n") + "\n".join(setup["options.extras_require"].values()).split("\n")
    names = {re.split(r"[\[<>=;]", line.strip())[0].lower().replace("_", "-") for line in wanted if line.strip()}
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in (TOP / "constraints.txt").read_text().splitlines() if "==" in line}
    assert names <= pinned


def test_ci_runs_what_the_readme_says():
    script = (TOP / ".ci" / "run").read_text()
    assert "make lint\nmake test\n" in script
