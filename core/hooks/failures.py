"""How a connector says what went wrong with its source. Raise these at the border; core turns them into the run's reason.

``code`` is stored with the run and the connection and is part of the API. The message says what was attempted, on what;
never a token, a header or a body.
"""


class ConnectorError(Exception):
    """Base of all; the run fails with the reason and nothing is closed."""

    code = "connector_error"
    #: an administrator has to act before another try makes sense
    needs_attention = False
    #: the trouble is with this asset alone: core goes on with the next one and closes nothing of this one
    asset_only = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SettingsInvalid(ConnectorError):
    """The settings cannot work (an impossible URL, a field that is missing)."""

    code, needs_attention = "settings_invalid", True


class Unreachable(ConnectorError):
    """No answer: the name does not resolve, the connection is refused or times out."""

    code = "unreachable"


class AddressRefused(ConnectorError):
    """The target is a private or link-local address that the operator has not allowed."""

    code, needs_attention = "address_refused", True


class TlsFailed(ConnectorError):
    """The certificate could not be verified."""

    code, needs_attention = "tls", True


class WrongService(ConnectorError):
    """Something answers at the address, but not the expected service."""

    code, needs_attention = "wrong_service", True


class LoginRejected(ConnectorError):
    """Wrong, expired or revoked credentials: stop, and ask an administrator."""

    code, needs_attention = "token_refused", True


class OrganizationUnknown(ConnectorError):
    """The organization does not exist or the credential cannot see it."""

    code, needs_attention = "organization_unknown", True


class PermissionMissing(ConnectorError):
    """The credential is good but lacks a permission that the pull needs."""

    code, needs_attention = "permission_missing", True


class NotThere(ConnectorError):
    """404: what was asked for does not exist (any more)."""

    code, asset_only = "not_found", True


class UpstreamRefused(ConnectorError):
    """Another 4xx: the request was not acceptable to the source."""

    code, asset_only = "refused", True


class UpstreamUnavailable(ConnectorError):
    """Timeout, 429 or 5xx that outlasted the retries: worth another try later."""

    code, asset_only = "unavailable", True


class AnswerInvalid(ConnectorError):
    """The answer was cut short or is not what the source documents."""

    code, asset_only = "invalid_answer", True


class PullIncomplete(ConnectorError):
    """The source gave fewer records than it announced; what came is kept, and nothing is closed."""

    code, asset_only = "incomplete", True


class PluginFailed(ConnectorError):
    """Raised by core when a connector raises something that is no ConnectorError, or gives something that is no draft."""

    code, asset_only = "plugin_error", True


class ReportInvalid(Exception):
    """Raised by a report parser: the file is cut short, malformed, or not what its format says. Nothing of it is kept.

    :ivar place: where in the file: line and column, JSON pointer, XML path, row of a CSV; one that its reader finds by it.
    """

    #: whether a bound was passed, rather than a rule broken
    is_too_large = False

    def __init__(self, message: str, place: str) -> None:
        super().__init__(message)
        self.place = place


class ReportTooLarge(ReportInvalid):
    """The report, or something in it, is larger than what is accepted."""

    is_too_large = True
