"""Settings from the environment, all checked at start, all faults told at once.

Each variable begins with ``STOCKADE_``; every secret can be given as ``STOCKADE_<NAME>_FILE`` instead, naming a file.
``docs/operators.md`` lists them; a test holds that list to this module.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PREFIX = "STOCKADE_"
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off", ""}


class SettingsError(ValueError):
    """The environment does not make a valid configuration; ``faults`` has one sentence for each fault."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


def _text(value: str) -> str:
    return value.strip()


def _flag(value: str) -> bool:
    word = value.strip().lower()
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError("must be true or false")


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError("must be a whole number") from None
        if not least <= number <= most:
            raise ValueError(f"must lie between {least} and {most}")
        return number
    return parse


def _share(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError("must be a number") from None
    if not 0 < number <= 1:
        raise ValueError("must lie above 0 and at most 1")
    return number


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError("must be a number of seconds") from None
    if not 0 <= number <= 86400:
        raise ValueError("must lie between 0 and 86400")
    return number


def _names(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _networks(value: str) -> tuple[Any, ...]:
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in _names(value))
    except ValueError:
        raise ValueError("must be networks such as 10.0.0.0/8, separated by commas") from None


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        word = value.strip()
        if word not in words:
            raise ValueError("must be one of " + ", ".join(words))
        return word
    return parse


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if urlsplit(value.strip()).scheme not in schemes:
            raise ValueError("must be an address beginning with " + " or ".join(f"{scheme}:" for scheme in schemes))
        return value.strip()
    return parse


def _provider_url(value: str) -> str:
    """https, or plain http to this machine itself, where nobody can listen in."""
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError("must be an address such as https://login.example.com/realms/main")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https: (plain http is for this machine itself)")
    return value.strip()


def is_loopback(host: str) -> bool:
    """Whether this name or address is the machine itself."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_TENANT_WORDS = ("organizations", "common")
_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _tenant(value: str) -> str:
    tenant = value.strip().lower()
    if tenant not in _TENANT_WORDS and not _GUID.fullmatch(tenant):
        raise ValueError("must be a directory (tenant) id, or one of " + ", ".join(_TENANT_WORDS))
    return tenant


def _tenants(value: str) -> tuple[str, ...]:
    tenants = tuple(tenant.lower() for tenant in _names(value))
    if not all(map(_GUID.fullmatch, tenants)):
        raise ValueError("must be directory (tenant) ids, separated by commas")
    return tenants


def _claim(value: str) -> tuple[str, str] | None:
    name, sign, expected = value.strip().partition("=")
    if not (name.strip() and sign and expected.strip()):
        raise ValueError("must be name=value, such as hd=example.com")
    return name.strip(), expected.strip()


def _master_key(value: str) -> bytes:
    try:
        key = base64.b64decode(value.strip(), validate=True)
    except binascii.Error:
        key = b""
    if len(key) != 32:
        raise ValueError("must be 32 bytes in base 64 (openssl rand -base64 32)")
    return key


def _master_keys(value: str) -> tuple[bytes, ...]:
    try:
        return tuple(_master_key(word) for word in value.replace(",", " ").split())
    except ValueError:
        raise ValueError("must be keys of 32 bytes in base 64, separated by commas or lines") from None


def _setting(default: Any, parse: Callable[[str], Any], doc: str, *, secret: bool = False) -> Any:
    return field(default=default, metadata={"parse": parse, "doc": doc, "secret": secret}, repr=not secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that a process needs to know of its deployment."""

    home: str = _setting(".stockade", _text, "folder of everything that `stockade up` keeps: database, files, Redis, keys")
    database_url: str = _setting("", _url("sqlite", "postgresql"), "where the data is; empty means SQLite in the home folder", secret=True)
    redis_url: str = _setting("", _url("redis", "rediss", "unix"), "the Redis of the job queue; `stockade up` starts its own without it",
                              secret=True)
    files_url: str = _setting("", _url("file", "s3", "memory"), "where files are kept; empty means the home folder")
    master_key: bytes | None = _setting(None, _master_key, "the key that wraps every customer's data key, 32 bytes in base 64", secret=True)
    master_keys_old: tuple[bytes, ...] = _setting((), _master_keys, "master keys of before, while data keys are still wrapped by them",
                                                   secret=True)
    public_url: str = _setting("", _url("http", "https"), "the address that people use; https makes cookies secure")
    trusted_proxies: int = _setting(0, _whole(0, 9), "how many reverse proxies in front set X-Forwarded-For and -Proto")
    plugins_disabled: tuple[str, ...] = _setting((), _names, "plugins switched off in this deployment, separated by commas")
    upstream_allow: tuple[Any, ...] = _setting((), _networks, "private networks that connectors may reach, such as 10.0.0.0/8")
    upstream_backoff: float = _setting(0.5, _seconds, "first pause between tries of an upstream request, in seconds")
    upstream_longest_wait: float = _setting(120.0, _seconds, "longest Retry-After that is waited for, in seconds")
    brake_share: float = _setting(0.5, _share, "a run that would close or prune more than this share (and more than ten) is held")
    run_lease_seconds: float = _setting(60.0, _seconds, "a run without a sign of life for this long is taken up again")
    prune_days: int = _setting(30, _whole(1, 3650), "how long pruned assets can be restored")
    audit_retention_days: int = _setting(0, _whole(0, 36500), "events of the audit log older than this are deleted; 0 keeps all of them")
    session_hours: int = _setting(12, _whole(1, 24 * 90), "a session ends after this long without use")
    refresh_days: int = _setting(7, _whole(1, 365), "a client that holds tokens has to sign in anew after so many days")
    reveal_reason: str = _setting("optional", _one_of("optional", "required"), "whether a secure value is shown only to who gives a reason")
    lockout_attempts: int = _setting(10, _whole(1, 1000), "failed sign-ins in a row that lock an account for a while")
    lockout_minutes: int = _setting(15, _whole(1, 24 * 60), "how long a locked account stays locked")
    password_cost: str = _setting("standard", _one_of("standard", "test"), "Argon2id cost; 'test' is for test suites alone")
    oidc_microsoft_client_id: str = _setting("", _text, "Microsoft sign-in: the application's id")
    oidc_microsoft_client_secret: str = _setting("", _text, "its secret (the value, not the secret's id)", secret=True)
    oidc_microsoft_tenant: str = _setting("", _tenant, "the directory (tenant) id; or organizations, with a list of tenants")
    oidc_microsoft_tenants: tuple[str, ...] = _setting((), _tenants, "the tenants that may sign in, by id, separated by commas")
    oidc_microsoft_authority: str = _setting("https://login.microsoftonline.com", _provider_url, "another cloud's sign-in address")
    oidc_issuer: str = _setting("", _provider_url, "sign-in with any other OpenID provider: its issuer, such as Keycloak's realm")
    oidc_client_id: str = _setting("", _text, "the id that this provider knows Stockade by")
    oidc_client_secret: str = _setting("", _text, "the secret that goes with it; none for a public client", secret=True)
    oidc_name: str = _setting("Company account", _text, "what the button to this provider says after \"Sign in with\"")
    oidc_scopes: str = _setting("openid profile email", _text, "what is asked of this provider")
    oidc_required_claim: tuple[str, str] | None = _setting(None, _claim, "a claim that this provider's tokens must have: hd=example.com")
    oidc_provision: bool = _setting(False, _flag, "whoever a provider vouches for gets an account, without any rights")
    web_workers: int = _setting(2, _whole(1, 64), "web server processes")
    web_threads: int = _setting(32, _whole(1, 512), "threads in each web server process")
    max_request_mb: int = _setting(16, _whole(1, 4096), "largest request body, in MiB")
    log_level: str = _setting("INFO", _one_of("DEBUG", "INFO", "WARNING", "ERROR"), "how much is logged")
    metrics_token: str = _setting("", _text, "bearer token that /metrics asks for; empty leaves it open to the network", secret=True)

    @property
    def sqlite_path(self) -> str:
        """Where the embedded database lies."""
        return str(Path(self.home).absolute() / "stockade.sqlite3")

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.sqlite_path}"

    @property
    def is_https(self) -> bool:
        return self.public_url.startswith("https:")


def load(environ: Mapping[str, str]) -> Settings:
    """Settings from ``environ``.

    :raises SettingsError: with every fault, each naming its variable and never its value.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    known = set()
    for setting in fields(Settings):
        name = PREFIX + setting.name.upper()
        known.add(name)
        if setting.metadata["secret"]:
            known.add(name + "_FILE")
        given = _given(name, environ, setting.metadata["secret"], faults)
        if given is None or (given.strip() == "" and setting.default in ("", None)):
            continue
        try:
            values[setting.name] = setting.metadata["parse"](given)
        except ValueError as problem:
            faults.append(f"{name} {problem}")
    faults += [f"{name} is not a setting" for name in sorted(environ) if name.startswith(PREFIX) and name not in known]
    if not faults:
        faults = _faults_together(Settings(**values))
    if faults:
        raise SettingsError(faults)
    return Settings(**values)


def _faults_together(settings: Settings) -> list[str]:
    """Settings that are fine by themselves and need others."""
    faults = []
    microsoft = {"CLIENT_ID": settings.oidc_microsoft_client_id, "CLIENT_SECRET": settings.oidc_microsoft_client_secret,
                 "TENANT": settings.oidc_microsoft_tenant}
    if any(microsoft.values()):
        faults += [f"{PREFIX}OIDC_MICROSOFT_{name} is missing" for name, value in microsoft.items() if not value]
        if settings.oidc_microsoft_tenant in _TENANT_WORDS and not settings.oidc_microsoft_tenants:
            faults.append(f"{PREFIX}OIDC_MICROSOFT_TENANTS is missing: with {settings.oidc_microsoft_tenant} it says who may sign in")
    if settings.oidc_issuer and not settings.oidc_client_id:
        faults.append(f"{PREFIX}OIDC_CLIENT_ID is missing")
    if (settings.oidc_client_id or settings.oidc_client_secret) and not settings.oidc_issuer:
        faults.append(f"{PREFIX}OIDC_ISSUER is missing")
    if "openid" not in settings.oidc_scopes.split():
        faults.append(f"{PREFIX}OIDC_SCOPES must have openid")
    return faults


def _given(name: str, environ: Mapping[str, str], secret: bool, faults: list[str]) -> str | None:
    file_name = environ.get(name + "_FILE") if secret else None
    if not file_name:
        return environ.get(name)
    if environ.get(name):
        faults.append(f"{name} and {name}_FILE are both given; keep one")
        return None
    try:
        return Path(file_name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        faults.append(f"{name}_FILE names a file that cannot be read")
        return None
