"""Beside SonarQube are installed a plugin that raises in every hook, one that cannot be imported, and one that raises in all that it
is asked to do later. Web server, worker, scheduler and command line run on, and so does SonarQube's sync."""

import json
from pathlib import Path

import pytest

from tests.faults.site import at_the_source, totals_are_right

MODULES = Path(__file__).with_name("faulty_plugins")
PAGES = ("/", "/api/dashboard/overview", "/api/security-overview", "/api/findings", "/api/integrations", "/api/plugins", "/api/runs")
PLUGINS = {"every-hook": "raises_in_every_hook", "missing": "no_such_module", "later": "raises_later"}


@pytest.fixture
def faulty_site(sqlite_site, tmp_path):
    """A deployment for whose processes the faulty plugins are installed."""
    distribution = tmp_path / "installed" / "faulty_plugins-1.0.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty-plugins\nVersion: 1.0\n")
    (distribution / "entry_points.txt").write_text("[stockade.plugins]\n" + "".join(f"{name} = {PLUGINS[name]}\n" for name in PLUGINS))
    sqlite_site.environ["PYTHONPATH"] = f"{distribution.parent}:{MODULES}"
    return sqlite_site


@pytest.fixture
def web(faulty_site, serve):
    return serve(faulty_site)


@pytest.fixture
def browser(web):
    return web.browser()


def test_everything_else_works(faulty_site, sonar, web, browser):
    site = faulty_site
    worker, scheduler = site.worker(), site.scheduler()

    def ask(method, path, **options):
        return browser.request(method, web.url + path, timeout=20, **options)

    def sync(source):
        answer = ask("POST", f"/api/integrations/{source}/sync")
        assert answer.status_code == 202, answer.text
        return site.ended(answer.json()["run"]["id"])

    set_aside = {entry["name"]: entry["reason"] for entry in ask("GET", "/health/ready").json()["pluginsSetAside"]}
    assert set(set_aside) == {"every-hook", "missing"}
    assert set_aside["every-hook"].endswith("RuntimeError: boom in plugin_manifest")
    assert "No module named 'no_such_module'" in set_aside["missing"]
    assert sync("sonarqube")["state"] == "succeeded"
    for spoilt in ("open", "check", "catalog", "asset", "findings", "rules"):
        assert ask("PUT", "/api/integrations/faulty", json={"settings": {"spoilt": spoilt}}).status_code == 200
        checked = ask("POST", "/api/integrations/faulty/validate").json()
        assert (spoilt, checked["valid"]) == (spoilt, spoilt not in ("open", "check"))
        run = sync("faulty")
        expected = {"check": "succeeded", "findings": "partial", "rules": "partial"}.get(spoilt, "failed")
        assert (spoilt, run["state"]) == (spoilt, expected)
    assert ask("GET", "/api/faulty/page").status_code == 500
    for path in PAGES:
        assert ask("GET", path).status_code == 200, path
    assert sync("sonarqube")["counts"]["unchanged"] == len(at_the_source(sonar.world))
    assert {key: state for key, state in site.stored().items() if key[0] != "one"} == at_the_source(sonar.world)
    assert totals_are_right()
    assert all(process.is_running for process in (worker, scheduler, web.process))
    for process in (worker, scheduler, web.process):
        assert '"logger": "stockade.plugins.every-hook"' in process.output


def test_the_command_line_names_them(faulty_site):
    listing = faulty_site.processes.stockade("plugins", "list", "--json", environ=faulty_site.environ)
    assert listing.popen.wait(20) == 0
    told = {entry["name"]: entry["state"] for entry in json.loads(listing.output[listing.output.index("["):])}
    assert {name: told[name] for name in PLUGINS} == {"every-hook": "set_aside", "missing": "set_aside", "later": "enabled"}
    assert told["sonarqube"] == "enabled"
