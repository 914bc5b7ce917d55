"""The same under the real web server: several processes, sockets held by its threads, and a stop that does not wait for them."""

import time

import pytest
from simple_websocket import ConnectionClosed

from core.access.service import ensure_built_in_roles
from tests.core.runtime.test_many_machines import web
from tests.core.signin.test_client_flow import PATIENCE, Program, told, who
from tests.core.signin.world import know, settings_for
from tests.factories import make_user
from tests.processes import environment


@pytest.fixture
def environ(database, redis_url, tmp_path, provider):
    ensure_built_in_roles()
    settings = settings_for(provider)
    names = ("oidc_microsoft_client_id", "oidc_microsoft_client_secret", "oidc_microsoft_tenant", "oidc_microsoft_authority")
    return environment(tmp_path, database, redis_url, web_workers=2, web_threads=8, **{name: getattr(settings, name) for name in names})


def test_sockets_and_windows_meet_whichever_process(environ, processes, world, provider):
    kari = make_user("msp_admin", email="kari@stockade.example")
    know(kari, world, provider, "kari")
    world.signs_in = "kari"
    address, server = web(processes, environ)
    world.app.redirect_uris = (f"{address}/v1/auth/redirect",)
    programs = [Program(address).begin() for _ in range(3)]
    sockets = [program.listen() for program in programs]
    for program in programs:
        assert program.person_signs_in().status_code == 200
    for socket in sockets:
        assert who(address, told(socket)["data"]) == kari.id
    waiting = Program(address).begin().listen()
    begun = time.monotonic()
    server.popen.terminate()
    with pytest.raises(ConnectionClosed) as closed:
        waiting.receive(timeout=PATIENCE)
    assert closed.value.reason == 1012
    server.popen.wait(PATIENCE)
    assert time.monotonic() - begun < PATIENCE
    assert "Traceback" not in server.output, server.output
