"""The OpenID providers that this deployment signs people in with, as its settings say."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from core.errors import NotFound
from core.http.upstream import UpstreamPolicy
from core.settings import Settings, is_loopback
from core.signin.id_tokens import Identity
from core.signin.openid import OpenIdClient

MICROSOFT, OTHER = "microsoft", "oidc"
_PERSONAL_TENANT = "9188040d-6c67-4c5b-b112-36a304b66dad"  # of all personal Microsoft accounts
#: somebody waits in front of his browser, so we are not patient
_CONNECT_SECONDS, _READ_SECONDS, _MIBIBYTE = 3.0, 8.0, 1024 * 1024
_LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))
_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"})


@dataclass(frozen=True, slots=True)
class Provider:
    """What we know of a provider before we ask it anything.

    :ivar authority: where its discovery document lies, below ``/.well-known``.
    :ivar tenants: Microsoft's alone: who may sign in; never empty for it.
    :ivar is_single_tenant: whether its issuer is that of one tenant.
    :ivar required_claim: a claim that a token must have beside the usual.
    """

    id: str
    name: str
    authority: str
    client_id: str
    client_secret: str
    scopes: str
    algorithms: frozenset[str]
    tenants: frozenset[str] = frozenset()
    is_single_tenant: bool = True
    required_claim: tuple[str, str] | None = None

    @property
    def is_microsoft(self) -> bool:
        return self.id == MICROSOFT

    def identity_of(self, subject: str, tenant: str) -> Identity:
        """Somebody whom an administrator knows at this provider.

        :param tenant: Microsoft's, where the subject is an object id.
        """
        subject, tenant = (subject.lower(), tenant.lower()) if self.is_microsoft else (subject, "")
        issuer = f"{self.authority.removesuffix('/v2.0').rpartition('/')[0]}/{tenant}/v2.0" if tenant else self.authority
        return Identity(issuer, subject, tenant, "", "", "", False)


def configured(settings: Settings) -> list[Provider]:
    """The providers of these settings, in the order in which they are offered."""
    found = []
    if settings.oidc_microsoft_client_id:
        found.append(_microsoft(settings))
    if settings.oidc_issuer:
        found.append(Provider(OTHER, settings.oidc_name, settings.oidc_issuer.rstrip("/"), settings.oidc_client_id,
                              settings.oidc_client_secret, settings.oidc_scopes, _ALGORITHMS, required_claim=settings.oidc_required_claim))
    return found


def _microsoft(settings: Settings) -> Provider:
    tenant = settings.oidc_microsoft_tenant
    is_single = tenant not in ("organizations", "common")
    tenants = frozenset({tenant}) if is_single else frozenset(settings.oidc_microsoft_tenants)
    return Provider(MICROSOFT, "Microsoft", f"{settings.oidc_microsoft_authority.rstrip('/')}/{tenant}/v2.0",
                    settings.oidc_microsoft_client_id, settings.oidc_microsoft_client_secret, "openid profile email",
                    frozenset({"RS256"}), tenants - ({_PERSONAL_TENANT} if tenant == "organizations" else set()), is_single)


class Providers:
    """The clients of one web app; each remembers what its provider told of itself."""

    def __init__(self, settings: Settings) -> None:
        self._clients = {provider.id: OpenIdClient(provider, policy_for(provider, settings)) for provider in configured(settings)}

    def __iter__(self) -> Iterator[Provider]:
        return iter(client.provider for client in self._clients.values())

    def client(self, provider_id: str) -> OpenIdClient:
        """:raises NotFound: when no such provider is set up."""
        if provider_id not in self._clients:
            raise NotFound("There is no such way to sign in")
        return self._clients[provider_id]


def policy_for(provider: Provider, settings: Settings) -> UpstreamPolicy:
    """Private addresses are refused as for connectors, except this machine itself when the provider is configured to be there."""
    own = _LOOPBACK if is_loopback(urlsplit(provider.authority).hostname or "") else ()
    return UpstreamPolicy(allow=(*settings.upstream_allow, *own), connect_timeout=_CONNECT_SECONDS, read_timeout=_READ_SECONDS, retries=1,
                          backoff=0.2, longest_wait=1.0, limited_backoff=0.5, largest_body=_MIBIBYTE)
