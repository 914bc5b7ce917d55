"""Secrets that are sent through a whole deployment of real processes, and then looked for in all that it wrote."""

import subprocess
import sys
from pathlib import Path

import pytest
import redis
import requests

from core.access.service import ensure_built_in_roles
from core.db import db, is_postgres
from core.deployment import use
from core.tenancy import service as tenancy
from tests.core.runtime.test_many_machines import web
from tests.factories import bearer, make_token, make_user
from tests.processes import deployment_of, environment
from tests.servers import clean_environ, eventually

#: what each secret was sent as; every one of them begins alike, so that none can be missed
WORD = "canary0secret"
STORED, SECOND, REFUSED, MALFORMED, OF_SOURCE, REJECTED = (f"{WORD}-{number}" for number in range(6))
TYPE = {"name": "VPN", "permissionScope": "vpn.credentials", "fields": [
    {"id": "password", "name": "Password", "required": True, "secure": True, "valueType": "password"},
    {"id": "disk", "name": "Disk", "required": False, "secure": True, "valueType": "bitlocker_key"}]}


@pytest.fixture
def environ(database, redis_url, tmp_path):
    ensure_built_in_roles()
    return environment(tmp_path, database, redis_url, log_level="DEBUG")


class Caller:
    """An administrator of the MSP, who works in the customer on the routes that are for one."""

    def __init__(self, address, customer):
        self.address = address
        user = make_user("msp_admin")
        self.tokens = {"/v1": make_token(user), "/api": make_token(user, customer_id=customer)}

    def ask(self, method, path, **how):
        headers = {**self.headers_for(path), **how.pop("headers", {})}
        return requests.request(method, self.address + path, headers=headers, timeout=20, **how)

    def headers_for(self, path):
        return bearer(next(token for prefix, token in self.tokens.items() if path.startswith(prefix)))

    def data(self, method, path, **how):
        answer = self.ask(method, path, **how)
        assert answer.status_code < 300, answer.text
        return answer.json()["data"]


def use_secrets(caller, customer):
    """Everything that is done with secrets, in good order and in bad. Returns what was shown where nothing of them may be."""
    kind = caller.data("POST", "/v1/credential-type", json=TYPE)["id"]
    sent = {"name": "Office", "typeId": kind, "companyId": customer, "fields": [{"fieldId": "password", "value": STORED}]}
    one = "/v1/credential/credentials/" + caller.data("POST", "/v1/credential/credentials", json=sent)["id"]
    caller.data("PATCH", one, json={"fields": [{"fieldId": "password", "value": SECOND}]})
    assert caller.data("GET", f"{one}/secure-values") == {"password": SECOND}
    assert caller.data("GET", f"{one}/secure-values/password", headers={"x-reveal-reason": "test"})["value"] == SECOND
    past = caller.data("GET", f"{one}/history")
    caller.data("POST", f"{one}/history/{past[0]['id']}/restore")
    assert caller.data("GET", f"{one}/secure-values") == {"password": STORED}
    silent = [caller.ask("GET", path) for path in (one, f"{one}/fields", f"{one}/history", f"/v1/credential-type/{kind}/credentials",
                                                   "/v1/credential/credentials?search=office")]
    refused = [caller.ask("PATCH", one, json={"fields": [{"fieldId": "disk", "value": REFUSED}]}),
               caller.ask("PATCH", one, json={"fields": [{"fieldId": "password", "value": [REJECTED]}]}),
               caller.ask("PATCH", one, json={"fields": {"password": REJECTED}}),
               caller.ask("PATCH", one, data=f'{{"fields": "{MALFORMED}', headers={"Content-Type": "application/json"})]
    assert [answer.status_code for answer in refused] == [400] * 4
    settings = {"settings": {"url": "http://127.0.0.1:9", "token": OF_SOURCE}}
    assert caller.ask("PUT", "/api/integrations/sonarqube", json=settings).status_code == 200
    silent += [caller.ask("GET", "/api/integrations"), caller.ask("POST", "/api/integrations/sonarqube/validate"),
               caller.ask("POST", "/api/integrations/sonarqube/sync")]
    return [answer.text for answer in (*silent, *refused)]


def written_by_database():
    """All that the database keeps: its files with the write-ahead log, or of PostgreSQL each row of each table as text."""
    if is_postgres():
        return "\n".join(text for table in db.get_tables() for (text,) in db.execute_sql(f'SELECT t::text FROM "{table}" t'))  # noqa: S608
    path = Path(db.obj.database)
    files = sorted(path.parent.glob(path.name + "*"))
    assert path.with_name(path.name + "-wal") in files
    return b"".join(file.read_bytes() for file in files).decode("latin-1")


def written_to_redis(url):
    client = redis.from_url(url)
    return repr([(key, client.dump(key)) for key in client.scan_iter(count=1000)])


def written_to(folder):
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file() and "sqlite3" not in path.name)


def test_a_secret_is_found_nowhere_but_where_it_was_asked_for(environ, processes, redis_url, tmp_path):
    use(deployment_of(environ))
    customer = tenancy.create("Acme", actor="test")
    address, _ = web(processes, environ)
    processes.worker(environ)
    caller = Caller(address, customer.id)
    shown = use_secrets(caller, customer.id)
    run = caller.ask("GET", "/api/runs").json()["runs"][0]["id"]
    assert eventually(lambda: caller.ask("GET", f"/api/runs/{run}").json()["state"] == "failed")
    for arguments in (("keys", "rotate"), ("keys", "status"), ("runs", "--json"), ("audit", "export"), ("audit", "verify")):
        done = subprocess.run([sys.executable, "-m", "core.runtime", *arguments], env={**clean_environ(), **environ}, capture_output=True,
                              text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        shown.append(done.stdout + done.stderr)
    outputs = "".join(process.output for process in processes.started)
    assert "request" in outputs
    assert "credential.revealed" in "".join(shown)
    everywhere = {"answers and commands": "\n".join(shown), "logs": outputs, "database": written_by_database(),
                  "redis": written_to_redis(redis_url), "files": written_to(tmp_path)}
    assert "Office" in everywhere["database"]  # what is no secret is found there
    assert [place for place, text in everywhere.items() if WORD in text] == []
