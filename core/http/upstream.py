"""The one HTTP client for upstream services: timeouts, retries that honour ``Retry-After``, a pace per credential,
a guard against private targets, bounded answers, and messages without secrets."""

import ipaddress
import json
import random
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import InvalidHeader, MaxRetryError, ResponseError
from urllib3.poolmanager import PoolManager
from urllib3.util.retry import Retry

from core.hooks.failures import (
    AddressRefused,
    AnswerInvalid,
    LoginRejected,
    NotThere,
    PermissionMissing,
    SettingsInvalid,
    TlsFailed,
    Unreachable,
    UpstreamRefused,
    UpstreamUnavailable,
)
from core.logs import redact

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_READ_BLOCK = 64 * 1024
_LONGEST_SAID = 300  # characters of what a service says of a refusal
_BODY_ATTEMPTS = 3  # a body cut short is not covered by urllib3's Retry, which ends with the headers
_RETRIED = frozenset({429, 500, 502, 503, 504})
_SAFE = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class UpstreamPolicy:
    """What the deployment allows and how patient it is. Seconds, bytes, requests per second.

    :ivar limited_backoff: first wait after a 429 that does not say how long; it doubles with each further one.
    """

    allow: tuple[Network, ...] = ()
    connect_timeout: float = 5.0
    read_timeout: float = 60.0
    retries: int = 5
    backoff: float = 0.5
    longest_wait: float = 120.0
    largest_body: int = 64 * 1024 * 1024
    per_second: float = 50.0
    limited_backoff: float = 5.0

    def admits(self, address: str) -> bool:
        """Whether a connection to this IP address may be opened."""
        ip = ipaddress.ip_address(address.split("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        if ip.is_global and not ip.is_multicast:
            return True
        return any(ip.version == network.version and ip in network for network in self.allow)


class Upstream:
    """HTTP to one upstream host with one credential. Paths are joined to ``base_url``, whose context path is kept.

    :param secrets: texts that must never appear in a message; header values and the password are added by themselves.
    :param ca_pem: PEM certificates trusted in place of the system's, for servers with their own authority.
    :ivar calls: how many answers were asked for, repeated tries not counted.
    :ivar last_headers: headers of the last answer, found in any spelling of upper and lower case.
    """

    def __init__(self, base_url: str, policy: UpstreamPolicy, *, headers: Mapping[str, str] | None = None,
                 auth: tuple[str, str] | None = None, secrets: Sequence[str] = (), ca_pem: str = "", verify: bool = True) -> None:
        self.base_url, self.host = _checked_base(base_url)
        _refuse_unsendable([*(headers or {}).values(), *(auth or ())])
        self.policy = policy
        self.calls = 0
        self.last_headers: Mapping[str, str] = {}
        self._secrets = _as_sent([*secrets, *(headers or {}).values(), *(auth or ())], auth)
        self._pace = _Pace(policy.per_second)
        sent = {"User-Agent": "Stockade", "Accept": "application/json", **(headers or {})}
        self._session = _session(_GuardedAdapter(policy, ca_pem, _SAFE), sent, auth, verify)
        self._repeating = _session(_GuardedAdapter(policy, ca_pem, _SAFE | {"POST"}), sent, auth, verify)

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """The decoded JSON answer of a GET.

        :raises ConnectorError: the one that fits; see ``core.hooks.failures``.
        """
        return self._decoded_json("GET", path, self.get_text(path, params))

    def get_text(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The text of a GET; the same refusals as ``get``."""
        return self._text(self._session, "GET", path, {"params": params})

    def post_form(self, path: str, fields: Mapping[str, str], *, repeatable: bool = False) -> Any:
        """The decoded JSON answer of a POST of form fields, as token services take it; the same refusals as ``get``. An answer
        that tells of trouble is not repeated, since a POST may have been carried out.

        :param repeatable: it does no harm to carry it out twice, so that it may be repeated like a GET.
        """
        session, attempts = (self._repeating, _BODY_ATTEMPTS) if repeatable else (self._session, 1)
        return self._decoded_json("POST", path, self._text(session, "POST", path, {"data": dict(fields)}, attempts))

    def post_json(self, path: str, body: Any, params: Mapping[str, Any] | None = None, *, repeatable: bool = False) -> Any:
        """The decoded JSON answer of a POST of JSON; otherwise as ``post_form``."""
        session, attempts = (self._repeating, _BODY_ATTEMPTS) if repeatable else (self._session, 1)
        return self._decoded_json("POST", path, self._text(session, "POST", path, {"json": body, "params": params}, attempts))

    def _decoded_json(self, method: str, path: str, body: str) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise AnswerInvalid(f"{method} {path} on {self.host} answered something that is not JSON") from None

    def _text(self, session: requests.Session, method: str, path: str, sent: Mapping[str, Any], attempts: int = _BODY_ATTEMPTS) -> str:
        where = f"{method} {path} on {self.host}"
        for attempt in range(1, attempts + 1):
            try:
                return self._fetch(session, method, path, sent)
            except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ContentDecodingError):
                if attempt == attempts:
                    raise AnswerInvalid(f"{where}: the answer was cut short") from None
            except requests.exceptions.ConnectionError as problem:
                raise self._not_connected(where, problem) from None
            except requests.exceptions.RequestException as problem:
                raise UpstreamRefused(f"{where} could not be sent ({type(problem).__name__})") from None
        raise AssertionError("unreachable")

    def _fetch(self, session: requests.Session, method: str, path: str, sent: Mapping[str, Any]) -> str:
        self._pace.wait()
        self.calls += 1
        where = f"{method} {path} on {self.host}"
        try:
            with session.request(method, self.base_url + path, stream=True, allow_redirects=False,
                                 timeout=(self.policy.connect_timeout, self.policy.read_timeout), **sent) as response:
                body = self._bounded(response, where)
                self.last_headers = response.headers
        except requests.exceptions.RetryError as problem:
            raise UpstreamUnavailable(f"{where}: {_patience_ended(problem)}", retry_after=_retry_after(problem)) from None
        except requests.exceptions.SSLError as problem:
            raise TlsFailed(f"{where}: the TLS certificate could not be verified ({self._clean(_tls_reason(problem))})") from None
        except requests.exceptions.Timeout:
            raise Unreachable(f"{where}: no answer in time") from None
        if response.status_code >= 300:
            raise self._refusal(where, response, body)
        return body

    def _bounded(self, response: requests.Response, where: str) -> str:
        blocks, size = [], 0
        for block in response.iter_content(_READ_BLOCK):
            size += len(block)
            if size > self.policy.largest_body:
                raise AnswerInvalid(f"{where}: the answer is larger than {self.policy.largest_body // 1024 ** 2} MiB")
            blocks.append(block)
        return _decoded(b"".join(blocks), response.encoding)

    def _refusal(self, where: str, response: requests.Response, body: str) -> Exception:
        status = response.status_code
        said = self._clean(_error_text(body))[:_LONGEST_SAID]  # cut last: the beginning of a secret would not be known for one
        message = f"{where} answered {status}" + (f": {said}" if said else "")
        if status == 401:
            return LoginRejected(message)
        if status == 403:
            return PermissionMissing(message)
        if status == 404:
            return NotThere(message)
        if status < 400:
            return UpstreamRefused(f"{message} (a redirect; give the final address)")
        if status in _RETRIED or status >= 500:
            return UpstreamUnavailable(message)
        return UpstreamRefused(message)

    def _not_connected(self, where: str, problem: requests.exceptions.ConnectionError) -> Exception:
        text = str(problem)
        if "NameResolutionError" in text:
            return Unreachable(f"{where}: the host name does not resolve")
        if "Connection refused" in text:
            return Unreachable(f"{where}: the connection was refused")
        if "timed out" in text:
            return Unreachable(f"{where}: no answer in time")
        return Unreachable(f"{where}: the connection failed")

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets)


class _Pace:
    """Lets at most ``per_second`` calls through, evenly, for one credential."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1.0 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        with self._lock:
            moment = time.monotonic()
            start = max(moment, self._next)
            self._next = start + self._gap
        if start > moment:
            time.sleep(start - moment)


class _PatientRetry(Retry):
    """urllib3's Retry, except that it gives up at once when the source asks for a longer wait than the policy grants,
    and waits longer after a 429 than after a failure."""

    longest_wait = 120.0
    limited_backoff = 5.0

    def new(self, **kw: Any) -> "_PatientRetry":
        fresh = super().new(**kw)
        fresh.longest_wait, fresh.limited_backoff = self.longest_wait, self.limited_backoff
        return fresh

    def get_retry_after(self, response):
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None  # a wait that cannot be read is one that was not given

    def sleep_for_retry(self, response):
        asked = self.get_retry_after(response)
        if asked is None and response.status == 429:
            times = sum(entry.status == 429 for entry in self.history)
            asked = min(self.longest_wait, self.limited_backoff * 2 ** (times - 1) * random.uniform(0.8, 1.2))  # noqa: S311
        if asked is None:
            return False
        time.sleep(asked)
        return True

    def increment(self, method=None, url=None, response=None, error=None, _pool=None, _stacktrace=None):
        if response is not None:
            asked = self.get_retry_after(response)
            if asked is not None and asked > self.longest_wait:
                raise MaxRetryError(_pool, url or "", ResponseError(f"Retry-After {asked:.0f}"))
        return super().increment(method, url, response, error, _pool, _stacktrace)


def _session(adapter: HTTPAdapter, headers: Mapping[str, str], auth: tuple[str, str] | None, verify: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # a proxy or .netrc from the environment would go around the guard
    session.headers.update(headers)
    session.auth = auth
    session.verify = verify
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _GuardedAdapter(HTTPAdapter):
    """Opens connections to admitted targets alone, and repeats what the policy lets it.

    :param repeated: the methods that may be repeated after an answer that tells of trouble, or none.
    """

    def __init__(self, policy: UpstreamPolicy, ca_pem: str, repeated: frozenset[str]) -> None:
        self._policy = policy
        self._context = _context_trusting(ca_pem) if ca_pem else None
        retry = _PatientRetry(total=policy.retries, connect=min(2, policy.retries), read=min(2, policy.retries), redirect=0,
                              other=0,  # a certificate that is refused once is refused again
                              status=policy.retries, status_forcelist=_RETRIED, allowed_methods=repeated,
                              backoff_factor=policy.backoff, backoff_jitter=policy.backoff, respect_retry_after_header=True)
        retry.longest_wait, retry.limited_backoff = policy.longest_wait, policy.limited_backoff
        super().__init__(max_retries=retry)

    def init_poolmanager(self, connections, maxsize, block=False, **pool_kwargs):
        if self._context is not None:
            pool_kwargs["ssl_context"] = self._context
        self.poolmanager = PoolManager(num_pools=connections, maxsize=maxsize, block=block, **pool_kwargs)
        self.poolmanager.pool_classes_by_scheme = _guarded_pools(self._policy)

    def cert_verify(self, conn, url, verify, cert):
        # requests would point the pool at certifi's file and so trust public authorities beside the connection's own
        if self._context is None or not verify:
            super().cert_verify(conn, url, verify, cert)


def _guarded_pools(policy: UpstreamPolicy) -> dict[str, type[HTTPConnectionPool]]:
    """Connection pools that refuse a private target twice: when its name is resolved, so that nothing is sent there, and
    when the socket is open, so that a name that changes its address in between gains nothing."""

    class Guarded:
        def _new_conn(self) -> socket.socket:
            host, port = self._dns_host, self.port  # type: ignore[attr-defined]
            try:
                addresses = {entry[4][0] for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
            except OSError:
                addresses = set()  # urllib3 reports the failure in its own words below
            _refuse_unless_admitted(policy, host, addresses)
            sock = super()._new_conn()  # type: ignore[misc]
            try:
                _refuse_unless_admitted(policy, host, {sock.getpeername()[0]})
            except AddressRefused:
                sock.close()
                raise
            return sock

    class GuardedHTTP(Guarded, HTTPConnection):
        pass

    class GuardedHTTPS(Guarded, HTTPSConnection):
        pass

    http = type("GuardedHTTPPool", (HTTPConnectionPool,), {"ConnectionCls": GuardedHTTP})
    https = type("GuardedHTTPSPool", (HTTPSConnectionPool,), {"ConnectionCls": GuardedHTTPS})
    return {"http": http, "https": https}


def _refuse_unless_admitted(policy: UpstreamPolicy, host: str, addresses: set[Any]) -> None:
    for address in addresses:
        if not policy.admits(str(address)):
            raise AddressRefused(f"{host} is at the private address {address}; the operator has to allow it with STOCKADE_UPSTREAM_ALLOW")


def _context_trusting(ca_pem: str) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cadata=ca_pem)
    except (ssl.SSLError, ValueError) as problem:
        raise SettingsInvalid("The CA certificates are not readable PEM") from problem


def _as_sent(secrets: Sequence[str], auth: tuple[str, str] | None) -> tuple[str, ...]:
    """The secrets in every form in which a service that repeats what it was sent may show them."""
    encoded = [b64encode(":".join(auth).encode()).decode()] if auth else []
    return tuple(dict.fromkeys([*encoded, *secrets, *map(quote_plus, secrets), *(quote(text, safe="") for text in secrets)]))


def _refuse_unsendable(credentials: Sequence[str]) -> None:
    if any(not text.isascii() or not text.isprintable() for text in credentials):
        raise SettingsInvalid("The credential holds characters that cannot be sent; it was probably copied with something else")


def _decoded(body: bytes, encoding: str | None) -> str:
    try:
        return body.decode(encoding or "utf-8", errors="replace")
    except LookupError:  # the answer names a character set that does not exist
        return body.decode("utf-8", errors="replace")


def _checked_base(base_url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(base_url.strip())
        parts.port  # noqa: B018 - raises for a port that is no number or out of range
    except ValueError:
        raise SettingsInvalid("The address cannot be read") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsInvalid("The address must begin with http:// or https:// and name a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SettingsInvalid("The address must not carry credentials, a query or a fragment")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}", parts.netloc


def _error_text(body: str) -> str:
    """The human part of the usual JSON error bodies, shortened; nothing of an HTML page."""
    try:
        answer = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(answer, dict):
        return ""
    errors = answer.get("errors")
    said = [answer.get("message") or answer.get("error_description") or answer.get("error")]
    for entry in errors if isinstance(errors, list) else ():
        if isinstance(entry, dict):
            said.append(entry.get("msg") or entry.get("detail") or entry.get("title") or entry.get("message"))
    return ", ".join(text for text in said if isinstance(text, str) and text)


def _tls_reason(problem: Exception) -> str:
    text = str(problem)
    for known in ("self-signed certificate", "certificate has expired", "Hostname mismatch", "unable to get local issuer certificate"):
        if known in text:
            return known
    return "handshake failed"


def _patience_ended(problem: requests.exceptions.RetryError) -> str:
    reason = getattr(problem.args[0], "reason", "") if problem.args else ""
    text = str(reason)
    if text.startswith("Retry-After"):
        return f"asked for a wait of {text.removeprefix('Retry-After').strip()} seconds"
    return text or "gave up after repeated tries"


def _retry_after(problem: requests.exceptions.RetryError) -> float | None:
    reason = str(getattr(problem.args[0], "reason", "")) if problem.args else ""
    return float(reason.removeprefix("Retry-After")) if reason.startswith("Retry-After") else None
